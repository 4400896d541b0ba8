"""Zips that two programs read in two ways, and those of usual tools, which are none."""

import io
import struct
import subprocess
import zipfile

import pytest

from slipway.formats.zip_layout import ambiguity

GOOD, EVIL = b"FROM python:3.11\n", b"FROM evil/x:1.2345678\n"


def zip_of(content: bytes = GOOD, name: str = "Dockerfile", comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
        archive.comment = comment
    return buffer.getvalue()


def why_of(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["Dockerfile"]
        assert archive.read("Dockerfile") == GOOD
        return ambiguity(data, archive)


def behind(data: bytes, more: bytes) -> bytes:
    """Another zip behind one, so that all that is not an offset still holds."""
    return data + more


def with_directory_of(data: bytes) -> bytes:
    """Python takes the directory that is before the end, others the one that the end names."""
    evil = zip_of(EVIL)
    end = struct.unpack_from("<L", evil, evil.rfind(b"PK\5\6") + 16)[0]
    shifted = bytearray(evil + data)
    struct.pack_into("<L", shifted, shifted.rfind(b"PK\5\6") + 16, end)
    # Python adds the difference to the places of members, too.
    struct.pack_into("<L", shifted, shifted.rfind(b"PK\1\2") + 42, end - data.find(b"PK\1\2"))
    return bytes(shifted)


def with_zip64(data: bytes) -> bytes:
    """A second directory's end, which Python reads and others only where the first says so."""
    at = data.rfind(b"PK\5\6")
    count, size, start = struct.unpack_from("<HLL", data, at + 10)
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    return data[:at] + record + locator + data[at:]


def between(data: bytes) -> bytes:
    """A member that no directory has, which a program finds that reads from the beginning."""
    evil = zip_of(EVIL)
    hidden = evil[: evil.find(b"PK\1\2")]
    start = data.find(b"PK\1\2")
    found = bytearray(data[:start] + hidden + data[start:])
    struct.pack_into("<L", found, found.rfind(b"PK\5\6") + 16, start + len(hidden))
    return bytes(found)


def other_size(data: bytes) -> bytes:
    found = bytearray(data)
    struct.pack_into("<2L", found, 18, 4, 4)
    return bytes(found)


def other_name(data: bytes) -> bytes:
    info = zipfile.ZipInfo("Dockerfile")
    name = b"other"
    info.extra = struct.pack("<2HBL", 0x7075, 5 + len(name), 1, 0) + name
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, GOOD)
    return buffer.getvalue()


BAD = {
    "a directory elsewhere": (with_directory_of(zip_of()), "its directory is not where its end says"),
    "an end in the comment": (behind(zip_of(EVIL), zip_of()), "its directory is not where its end says"),
    "bytes behind": (zip_of() + b"x", "bytes follow its end"),
    "a comment that is too long": (zip_of()[:-2] + b"\xff\xff", "bytes follow its end"),
    "two directories": (with_zip64(zip_of()), "it has a second directory"),
    "bytes before": (b"#!/bin/sh\n" + zip_of(), "its directory is not where its end says"),
    "a hidden member": (between(zip_of()), "there is something else at byte"),
    "two sizes": (other_size(zip_of()), "Dockerfile is described in two ways"),
    "two names": (other_name(zip_of()), "Dockerfile is described in two ways"),
}


@pytest.mark.parametrize("name", BAD)
def test_two_meanings_are_found(name):
    data, why = BAD[name]
    assert why in why_of(data)


def test_a_usual_zip_has_one_meaning():
    assert why_of(zip_of()) == ""
    # git archive writes the commit there.
    assert why_of(zip_of(comment=b"0123456789abcdef")) == ""


class Pipe(io.RawIOBase):
    """Where a writer cannot go back, it writes the sizes behind each member."""

    def __init__(self):
        self.written = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.written += data
        return len(data)


def test_sizes_may_follow():
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Dockerfile", GOOD)
    data = bytes(pipe.written)
    assert data[6] & 8
    assert why_of(data) == ""


@pytest.mark.parametrize("command", ["zip -qr - .", "zip -qr - . | cat", "zip -q0r - .", "zip -qDr -X - . | cat"])
def test_what_the_usual_tool_makes(tmp_path, command):
    (tmp_path / "Dockerfile").write_bytes(GOOD)
    (tmp_path / "s\u00e9").mkdir()
    (tmp_path / "s\u00e9" / "empty").touch()
    found = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, check=False)
    if found.returncode:
        pytest.skip("zip is not installed")
    with zipfile.ZipFile(io.BytesIO(found.stdout)) as archive:
        assert ambiguity(found.stdout, archive) == ""
