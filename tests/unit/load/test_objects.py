"""Which objects hold data, and their lines."""

import gzip
import io

import boto3
import pytest
from botocore.stub import Stubber

from slipway.load import objects
from slipway.load.errors import UnreadableRows
from slipway.load.objects import data_keys, is_data, text_lines


def lines(data: bytes) -> list[str]:
    return list(text_lines(io.BytesIO(data), "s3://b/a.csv"))


@pytest.mark.parametrize("name", ["part-0.csv", "2026/part-0", "a_b.csv", "a.b/c"])
def test_usual_names_are_data(name):
    assert is_data(name)


@pytest.mark.parametrize(
    "name",
    ["", "folder/", ".part-0.csv.crc", "_SUCCESS", "x/_SUCCESS", "_temporary/0/part-0", ".ipynb_checkpoints/a.csv"],
)
def test_what_spark_jupyter_and_the_console_leave_is_not(name):
    assert not is_data(name)


@pytest.mark.parametrize(
    "data",
    [
        b"0,1\n1,2\n",
        b"0,1\r\n1,2",
        b"\n0,1\n \r\n\n1,2\n\n",
        b"\xef\xbb\xbf0,1\n1,2\n",
        gzip.compress(b"0,1\n1,2\n", mtime=0),
        gzip.compress(b"\xef\xbb\xbf0,1\r\n", mtime=0) + gzip.compress(b"1,2", mtime=0),
    ],
)
def test_text_is_the_same_however_it_is_written(data):
    assert lines(data) == ["0,1", "1,2"]


def test_nothing_has_no_lines():
    assert lines(b"") == lines(b"\xef\xbb\xbf") == lines(gzip.compress(b"", mtime=0)) == []


def test_only_line_ends_end_a_line():
    assert lines("a\u2028b\x85c,1\n".encode()) == ["a\u2028b\x85c,1"]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("0,1\n", "utf-16"), ("0,1\n", "utf-16-le"), ("0,1\n", "utf-32"), ("ö,1\n", "latin-1"), ("č,1\n", "cp1250")],
)
def test_another_encoding_is_told_with_its_object(text, encoding):
    with pytest.raises(UnreadableRows, match=r"s3://b/a\.csv: it is not UTF-8 text"):
        lines(text.encode(encoding))


@pytest.mark.parametrize(
    "broken", [gzip.compress(b"0,1\n" * 99, mtime=0)[:-9], b"\x1f\x8b0,1\n", gzip.compress(b"0,1", mtime=0)[:12]]
)
def test_a_broken_archive_is_told_with_its_object(broken):
    with pytest.raises(UnreadableRows, match=r"s3://b/a\.csv: it cannot be decompressed"):
        lines(broken)


def test_a_small_archive_of_one_endless_line_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(objects, "MAX_LINE_CHARS", 1000)
    with pytest.raises(UnreadableRows, match="more than 1000 characters"):
        lines(gzip.compress(b"1" * 10_000_000, mtime=0))


def keys(place: str, *listings: tuple[dict, list[tuple[str, int]]]) -> list[str]:
    client = boto3.client("s3", region_name="us-west-2", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        for asked, found in listings:
            contents = [{"Key": key, "Size": size} for key, size in found]
            stub.add_response("list_objects_v2", {"Contents": contents} if found else {}, {"Bucket": "b", **asked})
        given = list(data_keys(client, "b", place))
        stub.assert_no_pending_responses()
    return given


def test_an_object_is_that_object_alone():
    first = {"Prefix": "in/a.csv", "MaxKeys": 1}
    assert keys("in/a.csv", (first, [("in/a.csv", 9)])) == ["in/a.csv"]
    hidden = {"Prefix": "in/_a.csv", "MaxKeys": 1}
    assert keys("in/_a.csv", (hidden, [("in/_a.csv", 9)])) == ["in/_a.csv"]


def test_a_folder_needs_no_slash_and_is_not_its_neighbours():
    first, folder = ({"Prefix": "in/rows", "MaxKeys": 1}, {"Prefix": "in/rows/"})
    found = [("in/rows/", 0), ("in/rows/.a.crc", 3), ("in/rows/_SUCCESS", 0), ("in/rows/a", 5), ("in/rows/empty", 0)]
    assert keys("in/rows", (first, [("in/rows-old/a", 5)]), (folder, found)) == ["in/rows/a"]
    assert keys("in/rows/", (folder, found)) == ["in/rows/a"]


def test_an_empty_object_named_like_a_folder_hides_no_rows():
    first, folder = ({"Prefix": "in/rows", "MaxKeys": 1}, {"Prefix": "in/rows/"})
    assert keys("in/rows", (first, [("in/rows", 0)]), (folder, [("in/rows/a", 5)])) == ["in/rows/a"]


def test_an_object_that_is_gone_is_not_replaced_by_its_backup():
    first = {"Prefix": "in/a.csv", "MaxKeys": 1}
    assert keys("in/a.csv", (first, [("in/a.csv.bak", 9)]), ({"Prefix": "in/a.csv/"}, [])) == []


class Trickle(io.BytesIO):
    """A body that gives one byte at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(1)


@pytest.mark.parametrize("body", [io.BytesIO, Trickle])
def test_joined_files_are_read_each_with_its_mark_and_compression(body):
    marked = [gzip.compress(f"\ufeff{number},2\r\n".encode()) for number in (0, 1)]
    assert list(text_lines(body(b"".join(marked)), "s3://b/k")) == ["0,2", "1,2"]
    assert list(text_lines(body(b"\xef\xbb\xbf0,2\r\xef\xbb\xbf1,2"), "s3://b/k")) == ["0,2", "1,2"]
