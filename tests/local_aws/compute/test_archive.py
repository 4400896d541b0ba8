"""Limits of unpacking: what would fill the disk or the memory is refused."""

import gzip
import io
import tarfile

import pytest

from local_aws.compute import archive


def archived(path, *members, format=tarfile.PAX_FORMAT):
    """Write an archive of names and contents; a number instead of a content is a size that the header claims."""
    with gzip.open(path, "wb") as stream, tarfile.open(fileobj=stream, mode="w:", format=format) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, int):
                info.size = content
                stream.write(info.tobuf(format))
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    made.mkdir()
    return made


def test_many_members_within_the_limits_are_unpacked(tmp_path, folder):
    path = archived(tmp_path / "a", *((f"d/{number}", b"x" * number) for number in range(50)))
    archive.unpack(path, folder)
    assert sorted(int(file.name) for file in (folder / "d").iterdir()) == list(range(50))
    assert (folder / "d/49").read_bytes() == b"x" * 49


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(archive, "_MAX_BYTES", 1024 * 1024)
    path = archived(tmp_path / "a", ("model", b"m"), ("bomb", bytes(2 * 1024 * 1024)))
    assert path.stat().st_size < 10_000
    with pytest.raises(tarfile.TarError, match="No space left on device: it has more than 1048576 bytes"):
        archive.unpack(path, folder)
    assert [file.name for file in folder.iterdir()] == ["model"]


def test_what_does_not_fit_on_the_disk_is_refused_by_its_header(tmp_path, folder):
    path = archived(tmp_path / "a", ("bomb", 2**50))
    with pytest.raises(tarfile.TarError, match="No space left"):
        archive.unpack(path, folder)
    assert not list(folder.iterdir())


def test_a_sparse_file_counts_with_its_whole_size(tmp_path, folder, monkeypatch):
    # A header of GNU tar's old form: no data, and a real size in its own member.
    info = tarfile.TarInfo("sparse")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % (2**33 - 1)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(bytes(header) + bytes(1024)))
    with tarfile.open(path) as tar:
        assert tar.getmembers()[0].size == 2**33 - 1
    monkeypatch.setattr(archive, "_MAX_BYTES", 2**32)
    with pytest.raises(tarfile.TarError, match="No space left"):
        archive.unpack(path, folder)


def test_a_header_that_fills_the_memory_is_refused(tmp_path, folder):
    path = tmp_path / "a"
    with gzip.open(path, "wb") as stream:
        info = tarfile.TarInfo("././@PaxHeader")
        info.type, info.size = tarfile.XHDTYPE, 2**33
        stream.write(info.tobuf(tarfile.GNU_FORMAT))
        stream.write(bytes(1024 * 1024))
    with pytest.raises(tarfile.TarError, match="a header of it has"):
        archive.unpack(path, folder)


def test_too_many_members_are_refused(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(archive, "_MAX_MEMBERS", 10)
    path = archived(tmp_path / "a", *((str(number), b"") for number in range(11)))
    with pytest.raises(tarfile.TarError, match="more than 10 members"):
        archive.unpack(path, folder)


def test_directories_that_are_too_deep_are_refused(tmp_path, folder):
    path = archived(tmp_path / "a", ("d/" * 1500 + "file", b""))
    with pytest.raises(tarfile.TarError, match="is more than 100 deep"):
        archive.unpack(path, folder)
