"""The ledger's files: they rotate, lines stay whole, and a full disk costs no line of a change."""

import errno
import os
import threading

import pytest

from local_aws.framework.disk import DiskFull
from local_aws.front.ledger import Call, Ledger
from tools import ledger


class Writes:
    """A disk that is never full, or always."""

    full = False

    def write(self, work):
        if self.full:
            raise DiskFull("full")
        return work()


def call(number):
    return Call("s3", "PutObject", f"bucket/{number}", "ok", 200, "c", "r", "id")


def numbers(path):
    return [int(line["resource"].rpartition("/")[2]) for line in ledger.read(path)]


def test_it_rotates_and_readers_see_every_line(tmp_path):
    path = tmp_path / "ledger.jsonl"
    calls = Ledger(path, Writes(), max_bytes=2000)
    for number in range(40):
        calls.record(call(number))
        assert numbers(path) == list(range(number + 1))
    assert path.stat().st_size <= 2000
    for number in range(40, 500):
        calls.record(call(number))
    files = sorted(tmp_path.glob("ledger*.jsonl"))
    assert len(files) == 5
    assert all(file.stat().st_size <= 2000 for file in files)
    found = numbers(path)
    assert found == list(range(found[0], 500))


def test_a_reader_beside_the_writer_misses_nothing(tmp_path):
    path = tmp_path / "ledger.jsonl"
    calls = Ledger(path, Writes(), max_bytes=20_000)
    ended = threading.Event()

    def write():
        for number in range(400):
            calls.record(call(number))
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not ended.is_set():
        found = numbers(path)
        assert found == list(range(len(found)))
    writer.join()
    assert numbers(path) == list(range(400))


def test_the_line_of_a_killed_process_is_cut_off(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path, Writes()).record(call(1))
    with path.open("ab") as file:
        file.write(b'{"time": "2026-')
    Ledger(path, Writes()).record(call(2))
    assert numbers(path) == [1, 2]


def test_a_part_of_a_line_is_taken_back(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    calls = Ledger(path, Writes())
    calls.record(call(1))
    write, left = os.write, [10]

    def partial(file, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(file, data[: left[0]])
        left[0] = 0
        return written

    monkeypatch.setattr("local_aws.front.ledger.os.write", partial)
    with pytest.raises(OSError, match="No space"):
        calls.record(call(2), promised=True)
    monkeypatch.setattr("local_aws.front.ledger.os.write", write)
    calls.record(call(3))
    assert numbers(path) == [1, 3]


def test_on_a_full_disk_lines_of_readings_wait_and_those_of_changes_are_refused(tmp_path):
    path, disk = tmp_path / "ledger.jsonl", Writes()
    calls = Ledger(path, disk)
    disk.full = True
    calls.record(call(1))
    with pytest.raises(DiskFull):
        calls.record(call(2), promised=True)
    disk.full = False
    calls.record(call(3), promised=True)
    assert numbers(path) == [1, 3]
