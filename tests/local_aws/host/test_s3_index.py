"""A call's files and what the index says of them are there together, whenever the process is killed."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from local_aws.framework.disk import Disk
from local_aws.host import s3_index
from local_aws.host.s3_index import S3Index

HOLDER = ("123456789012", "b")


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def opened(tmp_path):
    """Opens the index as a start does; the one before is gone."""
    made = []

    def open_again():
        for one in made:
            one.close()
        made.append(S3Index(tmp_path / "s3.sqlite", Disk(tmp_path)))
        return made[-1]

    yield open_again
    made[-1].close()


def put(index, tmp_path, text):
    """Do what a put does before its end; return the names of its file."""
    partial, path = tmp_path / f"partial-{text}", tmp_path / "content"
    partial.write_text(text)
    index.begin()
    index.put_object(HOLDER, "k", {"etag": text})
    return [(str(partial), str(path))]


def kept(index, tmp_path):
    records = [index.object(HOLDER, key)["etag"] for key in index.keys(HOLDER)]
    path = tmp_path / "content"
    return records, [path.read_text()] if path.exists() else []


def test_a_kill_before_the_commit_changes_nothing(opened, tmp_path):
    index = opened()
    index.commit(put(index, tmp_path, "1"), [])
    put(index, tmp_path, "2")
    assert kept(opened(), tmp_path) == (["1"], ["1"])


def test_a_kill_after_the_commit_changes_all(opened, tmp_path, monkeypatch):
    index = opened()
    (tmp_path / "former").write_text("")

    def killed(moves, removed):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(s3_index, "_move", killed)
        with pytest.raises(Killed):
            index.commit(put(index, tmp_path, "1"), [str(tmp_path / "former")])
    assert kept(opened(), tmp_path) == (["1"], ["1"])
    assert not (tmp_path / "former").exists()


def test_moves_are_not_made_again_after_a_later_call(opened, tmp_path):
    index = opened()
    index.commit(put(index, tmp_path, "1"), [])
    index.commit(put(index, tmp_path, "2"), [])
    index = opened()
    assert kept(index, tmp_path) == (["2"], ["2"])
    index.commit(put(index, tmp_path, "3"), [])
    assert kept(opened(), tmp_path) == (["3"], ["3"])


def test_what_failed_is_forgotten(opened, tmp_path):
    index = opened()
    put(index, tmp_path, "1")
    index.roll_back()
    assert kept(index, tmp_path) == ([], [])
    # Outside of a call a change takes effect at once.
    index.put_object(HOLDER, "k", {"etag": "2"})
    assert kept(opened(), tmp_path)[0] == ["2"]


def test_a_file_that_cannot_get_its_name_gets_it_later(opened, tmp_path, monkeypatch):
    index = opened()

    def fails(moves, removed):
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patch:
        patch.setattr(s3_index, "_move", fails)
        for is_undone in (False, True):
            with pytest.raises(OSError, match="no"):
                index.commit(put(index, tmp_path, "1"), [])
            # The caller keeps the file of what is committed.
            assert index.roll_back() is is_undone
    assert kept(index, tmp_path) == (["1"], [])
    index.commit([], [])
    assert kept(index, tmp_path) == (["1"], ["1"])


def test_no_call_writes_under_the_names_of_an_earlier_process(tmp_path):
    # A start repeats the last moves.
    command = (
        "import sys; from pathlib import Path; from local_aws.host.s3_files import _Change;"
        "_Change(Path(sys.argv[1])).write('a', b'1')"
    )
    for number in (1, 2):
        subprocess.run([sys.executable, "-c", command, tmp_path], cwd=Path(__file__).parents[3], check=True)
        assert len(list(tmp_path.iterdir())) == number
