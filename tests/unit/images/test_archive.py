"""The source of an image: every invalid zip is refused, with the file and what was expected, and little memory."""

import stat
import struct
import tracemalloc
import zipfile

import pytest

from slipway.errors import ImageRefused
from slipway.images.archive import MAX_GROWTH, MIB, read_source
from slipway.model.image_build import ImageBuild
from tests.unit.image_samples import DOCKERFILE, source_zip
from tests.unit.request_samples import zip_of

BOUNDS = ImageBuild(max_source_mib=1, max_files=20)


def of_kind(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (kind | 0o755) << 16
    return info


def with_member(name: str | zipfile.ZipInfo, content: bytes = b"x") -> bytes:
    return zip_of(("Dockerfile", DOCKERFILE), (name, content))


def encrypted() -> bytes:
    data = bytearray(source_zip())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


def lying_bomb() -> bytes:
    """More than may be unpacked, declared as one kilobyte."""
    data = bytearray(
        zip_of(("big", bytes(MIB * MAX_GROWTH + 1)), ("Dockerfile", DOCKERFILE), method=zipfile.ZIP_DEFLATED)
    )
    struct.pack_into("<I", data, data.find(b"PK\x01\x02") + 24, 1024)
    return bytes(data)


BAD_ZIPS = {
    "no zip": (b"hello", r"image.zip: expected a zip archive"),
    "too large": (bytes(MIB + 1), r"expected at most 1048576 bytes, found 1048577"),
    "too many files": (
        zip_of(("Dockerfile", DOCKERFILE), *((f"f{n}", b"") for n in range(20))),
        r"at most 20 files, found 21",
    ),
    "no Dockerfile": (zip_of(("greeting.txt", b"x")), r"Dockerfile: expected exactly one, .* found none"),
    "a Dockerfile below": (zip_of(("src/Dockerfile", DOCKERFILE)), r"found also src/Dockerfile"),
    "two Dockerfiles": (with_member("Dockerfile.gpu"), r"found also Dockerfile.gpu"),
    "a Dockerfile twice": (with_member("dockerfile"), r"expected it once, found it 2 times, capitals aside"),
    "a buildspec": (with_member("buildspec.yml"), r"buildspec.yml: expected no buildspec"),
    "a path outside": (with_member("../../etc/passwd"), r"expected a path inside"),
    "an absolute path": (with_member("/etc/passwd"), r"expected a path inside"),
    "a path of Windows": (with_member("C:\\x"), r"expected a path inside"),
    "a NUL": (with_member("a_b.py").replace(b"a_b.py", b"a\0b.py"), r"expected a path inside"),
    "a long path": (with_member("a" * 241), r"expected a path inside"),
    "a link": (with_member(of_kind("link", stat.S_IFLNK), b"/etc/passwd"), r"found a link or a device"),
    "a device": (with_member(of_kind("null", stat.S_IFCHR)), r"found a link or a device"),
    "bytes before it": (b"#!/bin/sh\n" + source_zip(), r"all programs read alike; its directory is not where"),
    "bytes behind it": (source_zip() + b"x", r"all programs read alike; bytes follow its end"),
    "encrypted": (encrypted(), r"expected a file without encryption"),
    "another method": (zip_of(("Dockerfile", DOCKERFILE), method=zipfile.ZIP_BZIP2), r"compression method 12"),
    "a bomb": (lying_bomb(), r"expected (at most 10485760 bytes unpacked|an intact file)"),
    "no text": (source_zip(dockerfile="FROM python:3.11\n# \udc80".encode(errors="surrogateescape")), r"0x80"),
    "a control character": (source_zip(dockerfile="FROM python:3.11\nRUN \x1b"), r"found a control character"),
    "a large Dockerfile": (source_zip(dockerfile="FROM python:3.11\n" + "#" * 65536), r"expected at most 65536 bytes"),
}


@pytest.mark.parametrize("name", BAD_ZIPS)
def test_is_refused_with_what_was_expected(name):
    data, message = BAD_ZIPS[name]
    with pytest.raises(ImageRefused, match=message) as refusal:
        read_source(data, BOUNDS)
    assert refusal.value.fix
    assert refusal.value.resource


def test_a_source_is_read_without_being_unpacked():
    archive = read_source(source_zip(files={"src/": b"", "src/train.py": b"print()"}), BOUNDS)
    assert (archive.dockerfile, archive.files) == (DOCKERFILE, 3)
    assert archive.unpacked_bytes == len(DOCKERFILE) + len("hello") + len("print()")


def test_all_that_is_wrong_is_said_at_once():
    data = zip_of(("Dockerfile", DOCKERFILE), ("../x", b""), ("buildspec.yaml", b""), ("Dockerfile.gpu", b""))
    with pytest.raises(ImageRefused) as refusal:
        read_source(data, BOUNDS)
    assert len((refusal.value.why or "").splitlines()) == 3


def test_a_bomb_needs_little_memory():
    data = lying_bomb()
    tracemalloc.start()
    with pytest.raises(ImageRefused):
        read_source(data, BOUNDS)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4 * MIB
