"""Layers: packed and unpacked, and what no layer may have."""

import gzip
import io
import os
import tarfile

import pytest

from local_aws.compute.docker import layers
from local_aws.compute.docker.layers import LayerError, pack, unpack
from tests.local_aws.compute.docker.images import needs_sandbox

pytestmark = needs_sandbox


def archive(*members):
    """Write a layer of (name, type, content or target)."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb") as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
            else:
                member.linkname = text
                tar.addfile(member)
    stream.seek(0)
    return stream


def test_a_layer_is_the_same_after_a_pull(tmp_path):
    diff, again = tmp_path / "diff", tmp_path / "again"
    (diff / "opt" / "deep").mkdir(parents=True)
    again.mkdir()
    (diff / "opt" / "a").write_text("a")
    (diff / "opt" / "link").symlink_to("/etc/passwd")
    os.mknod(diff / "opt" / "gone", 0o020000, 0)
    os.setxattr(diff / "opt" / "deep", "trusted.overlay.opaque", b"y")
    digest, diff_id, _ = pack(diff, tmp_path / "1.tar.gz")
    with (tmp_path / "1.tar.gz").open("rb") as stream:
        assert unpack(stream, again, 10**6) == diff_id
    assert pack(again, tmp_path / "2.tar.gz")[0] == digest
    assert os.getxattr(again / "opt" / "deep", "trusted.overlay.opaque") == b"y"


def test_an_empty_directory_is_no_layer(tmp_path):
    (tmp_path / "diff").mkdir()
    assert pack(tmp_path / "diff", tmp_path / "a.tar.gz") is None


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([("../out", tarfile.REGTYPE, "x")], "is outside of the image"),
        ([("a/../../out", tarfile.REGTYPE, "x")], "is outside of the image"),
        ([("disk", tarfile.BLKTYPE, "")], "neither a file, a directory nor a link"),
        ([("hard", tarfile.LNKTYPE, "/etc/passwd")], "which is no file of its layer"),
        ([("big", tarfile.REGTYPE, "x" * 2000)], "more than 1000 bytes"),
        ([(".wh.", tarfile.REGTYPE, "")], "the layer is no tar.gz"),
        ([("a\0\u00e9", tarfile.REGTYPE, "")], "the layer is no tar.gz"),
        ([("d/" * 1500 + "a", tarfile.REGTYPE, "")], "more than 100 deep"),
    ],
)
def test_what_no_layer_may_have(tmp_path, members, why):
    diff = tmp_path / "diff"
    diff.mkdir()
    with pytest.raises(LayerError, match=why):
        unpack(archive(*members), diff, 1000)


def test_a_link_in_a_layer_is_no_way_out(tmp_path):
    """A later member below a link's name becomes a directory of the image."""
    diff, outside = tmp_path / "diff", tmp_path / "outside"
    diff.mkdir()
    outside.mkdir()
    unpack(archive(("a", tarfile.SYMTYPE, str(outside)), ("a/b", tarfile.REGTYPE, "x")), diff, 1000)
    assert list(outside.iterdir()) == []
    assert (diff / "a" / "b").read_text() == "x"


def test_what_is_no_tar(tmp_path):
    with pytest.raises(LayerError, match=r"no tar\.gz"):
        unpack(io.BytesIO(b"no gzip at all"), tmp_path, 1000)


def test_directories_that_no_member_names_count(tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "MAX_FILES", 50)
    members = [(f"{number}/" + "d/" * 50 + "a", tarfile.REGTYPE, "") for number in range(3)]
    with pytest.raises(LayerError, match="more than 50 files"):
        unpack(archive(*members), tmp_path, 1000)
    assert len(list(tmp_path.rglob("*"))) <= 50


def test_a_header_fills_no_memory(tmp_path):
    """A name of a gigabyte is a megabyte in the archive."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1024**3
    with pytest.raises(LayerError, match="a header of it has 1073741824 bytes"):
        unpack(io.BytesIO(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))), tmp_path, 2 * 1024**3)


def test_headers_of_headers_without_end_are_no_layer(tmp_path):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    one = header.tobuf(tarfile.GNU_FORMAT) + b"x".ljust(512, b"\0")
    with pytest.raises(LayerError, match=r"no tar\.gz"):
        unpack(io.BytesIO(gzip.compress(one * 2000)), tmp_path, 10**6)
