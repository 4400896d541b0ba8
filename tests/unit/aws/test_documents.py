"""S3Documents: conditional writes, through boto3's own client and its validation."""

import asyncio
import io
import json

import pytest
from aiobotocore.session import get_session
from botocore.response import StreamingBody

from slipway.aws.documents import Document, S3Documents, read_document_async
from slipway.errors import AwsError, PermanentError
from tests.unit.aws.stubs import stubbed

PLACE = {"Bucket": "bucket", "Key": "k"}
BODY = {"Body": json.dumps({"a": 1}, indent=1).encode(), "ContentType": "application/json"}


@pytest.fixture
def s3():
    documents = S3Documents(aws_conn_id=None)
    stubber = stubbed(documents.s3, "s3")
    stubber.documents = documents
    yield stubber
    stubber.assert_no_pending_responses()


def answer(data: bytes) -> dict:
    return {"Body": StreamingBody(io.BytesIO(data), len(data)), "ETag": '"abc"'}


def test_a_document_is_read_with_what_a_later_write_compares(s3):
    s3.add_response("get_object", answer(b'{"a": 1}'), PLACE)
    assert s3.documents.read("bucket", "k") == Document({"a": 1}, '"abc"')


def test_a_document_that_is_not_there_is_none(s3):
    s3.add_client_error("get_object", "NoSuchKey", http_status_code=404)
    assert s3.documents.read("bucket", "k") == Document()


@pytest.mark.parametrize("data", [b"[1]", b"{", b"\xff"])
def test_what_is_no_json_object_is_refused_by_name(s3, data):
    s3.add_response("get_object", answer(data), PLACE)
    with pytest.raises(PermanentError, match="s3://bucket/k"):
        s3.documents.read("bucket", "k")


@pytest.mark.parametrize(("etag", "condition"), [(None, {"IfNoneMatch": "*"}), ('"abc"', {"IfMatch": '"abc"'})])
def test_a_write_says_what_it_expects(s3, etag, condition):
    s3.add_response("put_object", {}, {**PLACE, **BODY, **condition})
    assert s3.documents.write("bucket", "k", {"a": 1}, etag=etag) is True


@pytest.mark.parametrize(
    ("code", "status"), [("PreconditionFailed", 412), ("ConditionalRequestConflict", 409), ("NoSuchKey", 404)]
)
def test_a_document_that_has_changed_is_not_written(s3, code, status):
    s3.add_client_error("put_object", code, http_status_code=status)
    assert s3.documents.write("bucket", "k", {"a": 1}, etag='"abc"') is False


def test_any_other_refusal_is_an_error(s3):
    s3.add_client_error("put_object", "SlowDown", http_status_code=503)
    with pytest.raises(AwsError) as caught:
        s3.documents.write("bucket", "k", {"a": 1}, etag=None)
    assert caught.value.transient


async def breaking_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer GetObject with the beginning of a body, and close."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\nETag: "e"\r\n\r\n{"a":')
    await writer.drain()
    writer.close()


def test_a_body_that_breaks_off_is_a_passing_error():
    """Through a trigger's own client and a real socket."""

    async def story():
        server = await asyncio.start_server(breaking_off, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-west-2"}
        async with server, get_session().create_client("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys) as client:
            await read_document_async(client, "bucket", "k")

    with pytest.raises(AwsError) as caught:
        asyncio.run(story())
    assert caught.value.transient
    assert "ClientPayloadError" in repr(caught.value.__cause__)
