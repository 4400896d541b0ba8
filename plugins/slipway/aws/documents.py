"""Small JSON documents in S3 that several runs change: a write fails where another one came first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import ClientError

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.s3 import S3Store, is_missing_object, uri
from slipway.errors import UnreadableDocument

# 412 where the object is another one than expected, 409 where a write to the same key was under way, 404 where it was
# deleted. After each of the three the document must be read again.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_CHANGED_CODES = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404")


@dataclass(frozen=True)
class Document:
    """A document that was read.

    :param content: the JSON object; None for a document that is not there
    :param etag: what a conditional write compares; None for a document that is not there
    """

    content: dict[str, Any] | None = None
    etag: str | None = None


class S3Documents(S3Store):
    """JSON documents with compare-and-set."""

    @patient
    def read(self, bucket: str, key: str) -> Document:
        """Read a document.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html

        :param bucket: the bucket
        :param key: the document's key
        :returns: the document, empty where there is none
        :raises UnreadableDocument: when it is not a JSON object
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("read the document", uri(bucket, key)):
            try:
                answer = self.s3.conn.get_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if is_missing_object(error):
                    return Document()
                raise
            with answer["Body"] as body:
                data = body.read()
        return Document(content_of(data, uri(bucket, key)), answer["ETag"])

    @patient
    def write(self, bucket: str, key: str, content: dict[str, Any], *, etag: str | None) -> bool:
        """Write a document unless it has changed since it was read.

        When the answer to a write is lost, the repeated write returns False; the caller then reads what it wrote.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

        :param bucket: the bucket
        :param key: the document's key
        :param content: the JSON object
        :param etag: the ETag of what was read; None where there was no document
        :returns: False if it has changed: the caller reads it again and decides again
        :raises slipway.errors.AwsError: when the call fails for another reason
        """
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        # A line for each member: an indent for all of them would be written by Python instead of C.
        members = (f" {json.dumps(name)}: {json.dumps(item)}" for name, item in content.items())
        body = "\n".join(["{", ",\n".join(members), "}"])
        with aws_call("write the document", uri(bucket, key)):
            try:
                self.s3.conn.put_object(
                    Bucket=bucket, Key=key, Body=body.encode(), ContentType="application/json", **condition
                )
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _CHANGED_CODES:
                    return False
                raise
        return True


async def read_document_async(client: Any, bucket: str, key: str) -> Document:
    """Read a document without blocking the event loop.

    :param client: an aiobotocore S3 client
    :param bucket: the bucket
    :param key: the document's key
    :returns: the document, empty where there is none
    :raises UnreadableDocument: when it is not a JSON object
    :raises slipway.errors.AwsError: when the call fails
    """
    with aws_call("read the document", uri(bucket, key)):
        try:
            answer = await client.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if is_missing_object(error):
                return Document()
            raise
        async with answer["Body"] as body:
            data = await body.read()
    return Document(content_of(data, uri(bucket, key)), answer["ETag"])


def content_of(data: bytes, resource: str) -> dict[str, Any]:
    """Read the bytes of a document.

    :param data: the bytes, which may be anything
    :param resource: the document's S3 URI
    :raises UnreadableDocument: when they are not a JSON object
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        # Python's parser needs a level of its stack for each level of the document.
        raise _unreadable(resource, f"it is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise _unreadable(resource, f"it holds a {type(content).__name__}, expected an object")
    return content


@contextmanager
def reading(resource: str) -> Iterator[None]:
    """Name the document in the error about a member that cannot be read.

    :param resource: the document's S3 URI
    :raises UnreadableDocument: naming the document, its member and what is wrong with it
    """
    try:
        yield
    except UnreadableDocument as error:
        raise _unreadable(resource, f"{error.resource}: {error.why}") from error


def _unreadable(resource: str, why: str) -> UnreadableDocument:
    """Build the error about a document that this version of Slipway cannot read."""
    return UnreadableDocument(
        "This version of Slipway cannot read the document",
        resource=resource,
        why=why,
        fix="if a newer version wrote it, install that one here too; otherwise restore an earlier version of the "
        "object (aws s3api list-object-versions). Keep the document: it says which run has what",
    )


class Documents(Protocol):
    """The part of S3 that gates and claims need."""

    def read(self, bucket: str, key: str) -> Document:
        """Return the document, empty where there is none."""

    def write(self, bucket: str, key: str, content: dict[str, Any], *, etag: str | None) -> bool:
        """Write the document; return False if it has changed since it was read."""
