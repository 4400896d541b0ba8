"""Logs stay bounded while their writers live."""

import errno
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.tools.test_supervisor import wait_for
from tools import logs

# Appends a numbered line whenever it is told to, as a component does that lives on.
WRITES_WHEN_TOLD = """
import sys
for number, _ in enumerate(sys.stdin):
    print(f"line {number:04}", file=sys.stderr, flush=True)
"""
LINE_BYTES = 10


@pytest.fixture
def writer(tmp_path):
    """A program that appends to a log; call it to have it write some lines."""
    log = tmp_path / "it.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", WRITES_WHEN_TOLD], stdin=subprocess.PIPE, stderr=output, text=True
        )

    def write(count):
        expected = log.stat().st_size + count * LINE_BYTES
        process.stdin.write("\n" * count)
        process.stdin.flush()
        wait_for(lambda: log.stat().st_size == expected)

    yield log, write
    process.stdin.close()
    process.wait()


def test_a_living_writer_goes_on_with_an_empty_log_and_no_line_is_lost(writer):
    log, write = writer
    write(8)
    logs.shorten(log, max_bytes=100)
    assert not logs.former(log).exists()
    write(3)
    logs.shorten(log, max_bytes=100)
    write(1)
    # Of the old lines the oldest go.
    assert logs.former(log).read_text().split() == [word for n in range(1, 11) for word in ("line", f"{n:04}")]
    assert log.read_text() == "line 0011\n"


@pytest.mark.parametrize("rounds", [5, 50])
def test_a_log_needs_no_more_space_however_much_is_written(writer, rounds):
    log, write = writer
    for _ in range(rounds):
        write(7)
        logs.shorten(log, max_bytes=100)
        assert log.stat().st_size <= 100
    assert logs.former(log).stat().st_size == 100
    assert len(list(log.parent.iterdir())) == 2


def test_a_kill_before_the_log_is_emptied_loses_nothing(writer, monkeypatch):
    log, write = writer
    write(11)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "truncate", killed)
        logs.shorten(log, max_bytes=100)
    assert log.stat().st_size == 110
    write(1)
    logs.shorten(log, max_bytes=100)
    assert logs.former(log).read_text().endswith("line 0010\nline 0011\n")
    assert log.stat().st_size == 0


def test_what_is_written_during_the_copy_is_copied(writer, monkeypatch):
    log, write = writer
    write(11)
    former = logs.former

    def writes_more(path):
        write(3)
        return former(path)

    monkeypatch.setattr(logs, "former", writes_more)
    logs.shorten(log, max_bytes=100)
    assert former(log).read_text().splitlines() == [f"line {number:04}" for number in range(1, 14)]
    assert log.stat().st_size == 0


def test_a_log_that_cannot_be_copied_stays(tmp_path):
    log = tmp_path / "it.log"
    log.write_text("x" * 11)
    logs.former(log).mkdir()
    logs.shorten(log, max_bytes=10)
    assert log.stat().st_size == 11
    logs.shorten(tmp_path / "not-yet.log")


def test_a_log_takes_no_space_that_others_need_and_its_copy_of_before_stays(writer, monkeypatch):
    log, write = writer
    write(11)
    logs.shorten(log, max_bytes=100)
    before = logs.former(log).read_text()
    write(11)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for module, name, nearly_full in (
        (shutil, "disk_usage", lambda _: SimpleNamespace(free=399)),
        # As if it became full during the copy.
        (Path, "replace", full),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, nearly_full)
            logs.shorten(log, max_bytes=100)
        assert (logs.former(log).read_text(), log.stat().st_size) == (before, 110)
        assert len(list(log.parent.iterdir())) == 2


def test_the_end_of_a_log_is_read_without_the_rest(tmp_path):
    log = tmp_path / "it.log"
    assert logs.tail(log) == "(no log)"
    log.write_bytes(b"short\n\xff\n")
    assert logs.tail(log) == "short\n\ufffd"
    with log.open("wb") as stream:
        # A hole: to read all of it would take gigabytes.
        stream.truncate(64 * 1024**3)
        stream.seek(0, os.SEEK_END)
        stream.write(b"".join(b"\nline %d" % number for number in range(20)))
    assert logs.tail(log, 3) == "line 17\nline 18\nline 19"


def test_the_logs_of_parsing_are_kept_for_some_days(tmp_path):
    today = datetime.now(UTC).date()
    for days in range(logs.PARSING_DAYS + 3):
        folder = tmp_path / f"{today - timedelta(days)}" / "dags-folder"
        folder.mkdir(parents=True)
        (folder / "release.py.log").write_text("Filling up the DagBag")
    (tmp_path / "latest").symlink_to(f"{today}")
    (tmp_path / "some-other-folder").mkdir()
    logs.remove_old_parsing(tmp_path)
    kept = {f"{today - timedelta(days)}" for days in range(logs.PARSING_DAYS + 1)}
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "latest", "some-other-folder"}
    logs.remove_old_parsing(tmp_path / "not-yet")
