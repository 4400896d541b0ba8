"""S3Versions: versions of objects, through boto3's own client and its validation."""

import asyncio
from datetime import UTC, datetime

import pytest

from slipway.errors import PermanentError
from slipway.source.versions import CurrentObject, S3Versions, current_object_async
from tests.unit.aws.stubs import stubbed

WRITTEN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HEAD = {"ETag": '"abc"', "ContentLength": 7, "LastModified": WRITTEN, "VersionId": "v1", "Metadata": {}}


@pytest.fixture
def s3():
    versions = S3Versions(aws_conn_id=None)
    stubber = stubbed(versions.s3, "s3")
    stubber.versions = versions
    yield stubber
    stubber.assert_no_pending_responses()


def shown(key: str) -> dict:
    return {"Key": key, "ETag": '"e"', "LastModified": WRITTEN}


def test_current_objects_are_read_from_every_page(s3):
    first = {"Contents": [shown("p/a")], "IsTruncated": True, "NextContinuationToken": "next"}
    s3.add_response("list_objects_v2", first, {"Bucket": "bucket", "Prefix": "p/"})
    more = {"Bucket": "bucket", "Prefix": "p/", "ContinuationToken": "next"}
    s3.add_response("list_objects_v2", {"Contents": [shown("p/b")], "IsTruncated": False}, more)
    found = s3.versions.current_objects("bucket", "p/")
    assert found == dict.fromkeys(["p/a", "p/b"], CurrentObject('"e"', "2026-05-01T12:00:00+00:00"))


@pytest.mark.parametrize(("listed", "there"), [(["k"], True), (["k.bak"], False), ([], False)])
def test_one_object_is_the_first_of_the_keys_that_begin_with_its_own(s3, listed, there):
    wanted = {"Bucket": "bucket", "Prefix": "k", "MaxKeys": 1}
    s3.add_response("list_objects_v2", {"Contents": list(map(shown, listed))}, wanted)
    assert (s3.versions.current_object("bucket", "k") is not None) is there


def test_the_newest_version_is_pinned(s3):
    s3.add_response("head_object", HEAD, {"Bucket": "bucket", "Key": "k"})
    revision = s3.versions.head_version("bucket", "k")
    assert (revision.version_id, revision.etag, revision.size_bytes) == ("v1", "abc", 7)
    assert revision.last_modified == "2026-05-01T12:00:00+00:00"


@pytest.mark.parametrize("code", ["404", "NoSuchVersion"])
def test_a_missing_object_is_none(s3, code):
    s3.add_client_error("head_object", code, http_status_code=404)
    assert s3.versions.head_version("bucket", "k") is None


def test_an_object_without_a_version_cannot_be_pinned(s3):
    s3.add_response("head_object", {**HEAD, "VersionId": "null"})
    with pytest.raises(PermanentError, match="turn versioning on"):
        s3.versions.head_version("bucket", "k")


@pytest.mark.parametrize(
    ("answer", "there"), [({"Contents": [shown("k")]}, True), ({"Contents": [shown("k2")]}, False), ({}, False)]
)
def test_one_object_is_looked_for_without_blocking(answer, there):
    class Client:
        async def list_objects_v2(self, **arguments):
            assert arguments == {"Bucket": "bucket", "Prefix": "k", "MaxKeys": 1}
            return answer

    assert (asyncio.run(current_object_async(Client(), "bucket", "k")) is not None) is there
