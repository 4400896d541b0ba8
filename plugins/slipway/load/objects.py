"""Which objects of a place in S3 hold data, and the lines of one: the same for rows, the golden set and ground truth.

The client is any S3 client, so that this module needs neither Airflow nor boto3.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from slipway.load.errors import UnreadableRows

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = "\ufeff"
# No request may be nearly as long, and a small compressed object must not fill the memory.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
MAX_LINE_CHARS = 64 * 2**20


def is_data(name: str) -> bool:
    """Tell whether an object holds data; names that begin with ``.`` or ``_`` and folder markers do not.

    SageMaker's XGBoost container passes over such names too; Spark and Jupyter write them, and folders of such names.
    https://github.com/aws/sagemaker-xgboost-container/blob/master/src/sagemaker_xgboost_container/data_utils.py

    :param name: the key below the prefix that was listed
    """
    parts = name.split("/")
    return bool(parts[-1]) and not any(part.startswith((".", "_")) for part in parts)


def data_keys(client: Any, bucket: str, place: str) -> Iterator[str]:
    """List the objects of a place that hold data, in the order of their keys.

    An object is that object alone, with or without others whose keys begin alike. Everything else is a folder.
    SageMaker takes all keys that begin with an S3Prefix; for a prefix that ends in a slash both are the same.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html

    :param client: an S3 client
    :param bucket: the bucket
    :param place: the key of an object or of a folder
    """
    if place and not place.endswith("/"):
        # Keys are listed in order: of those that begin with this one, it is the first.
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        first = client.list_objects_v2(Bucket=bucket, Prefix=place, MaxKeys=1).get("Contents", ())
        if any(item["Key"] == place and item["Size"] for item in first):
            yield place
            return
        place += "/"
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=place):
        for item in page.get("Contents", ()):
            if item["Size"] and is_data(item["Key"][len(place) :]):
                yield item["Key"]


def s3_lines(
    client: Any, bucket: str, place: str, reading: Callable[[str], AbstractContextManager[None]]
) -> Iterator[tuple[str, str]]:
    """Read the lines of a place's objects.

    :param client: an S3 client
    :param bucket: the bucket
    :param place: the key of an object or of a folder
    :param reading: entered with an object's URI while it is read; it translates the client's errors
    :returns: each line with the URI of its object
    :raises UnreadableRows: when an object is not UTF-8 text
    """
    for key in data_keys(client, bucket, place):
        where = f"s3://{bucket}/{key}"
        with reading(where):
            body = client.get_object(Bucket=bucket, Key=key)["Body"]
            try:
                for line in text_lines(body, where):
                    yield where, line
            finally:
                body.close()


def text_lines(body: Any, where: str) -> Iterator[str]:
    """Read the lines of a file that are not blank.

    It is UTF-8 with or without a byte order mark, compressed by gzip or not, whatever its name and its metadata say.

    :param body: has ``read(size)``
    :param where: the path or URI, for the error
    :raises UnreadableRows: when it is something else
    """
    raw: Any = io.BufferedReader(_Raw(body))
    try:
        if raw.peek(len(_GZIP_MAGIC))[: len(_GZIP_MAGIC)] == _GZIP_MAGIC:
            raw = gzip.GzipFile(fileobj=raw)
        text = io.TextIOWrapper(raw, encoding="utf-8-sig")
        while line := text.readline(MAX_LINE_CHARS):
            if len(line) == MAX_LINE_CHARS:
                raise UnreadableRows(where, f"a line has more than {MAX_LINE_CHARS} characters")
            # UTF-16 without its byte order mark is valid UTF-8, full of zeros.
            if "\0" in line:
                raise UnreadableRows(where, "it is not UTF-8 text")
            # Files with a mark may have been joined.
            if line := line.lstrip(_BYTE_ORDER_MARK).strip():
                yield line
    except UnicodeDecodeError as error:
        raise UnreadableRows(where, f"it is not UTF-8 text ({error.reason})") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnreadableRows(where, f"it cannot be decompressed ({error})") from error


class _Raw(io.RawIOBase):
    """A body as the raw stream of Python's io; botocore's own has checks in ``read`` alone."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # Until it is full or the body ends: what looks at the first bytes needs them all.
        filled = 0
        while filled < len(buffer) and (chunk := self._body.read(len(buffer) - filled)):
            buffer[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        return filled
