"""S3VersionHook: versions of objects, through boto3's own client and its validation."""

import asyncio
import io
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from slipway.aws.s3 import S3VersionHook, exists_async, uri, versions_of
from slipway.errors import AwsError, PermanentError

WRITTEN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HEAD = {"ETag": '"abc"', "ContentLength": 7, "LastModified": WRITTEN, "VersionId": "v1", "Metadata": {}}


def listed(version_id: str, *, key: str = "k", seconds: int = 0, owner: dict | None = None) -> dict:
    item = {"Key": key, "VersionId": version_id, "LastModified": WRITTEN + timedelta(seconds=seconds)}
    return {**item, **({"Owner": owner} if owner else {})}


@pytest.fixture
def s3():
    client = boto3.client("s3", region_name="us-west-2", aws_access_key_id="1", aws_secret_access_key="2")
    hook = S3VersionHook(aws_conn_id=None)
    hook.__dict__["conn"] = client
    with Stubber(client) as stubber:
        stubber.hook = hook
        yield stubber
        stubber.assert_no_pending_responses()


def test_versions_come_oldest_first_and_delete_markers_are_none():
    page = {
        # S3 lists a key's newest version first, and knows seconds only.
        "Versions": [listed("new"), listed("old"), listed("later", key="other", seconds=5)],
        "DeleteMarkers": [{"Key": "k", "VersionId": "gone", "LastModified": WRITTEN}],
    }
    assert [version.version_id for version in versions_of([page])] == ["old", "new", "later"]
    assert versions_of([{}]) == []


def test_list_versions_reads_every_page_of_every_prefix(s3):
    first = {"Versions": [listed("b")], "IsTruncated": True, "NextKeyMarker": "k", "NextVersionIdMarker": "b"}
    s3.add_response("list_object_versions", first, {"Bucket": "bucket", "Prefix": "p/"})
    s3.add_response(
        "list_object_versions",
        {"Versions": [listed("a")], "IsTruncated": False},
        {"Bucket": "bucket", "Prefix": "p/", "KeyMarker": "k", "VersionIdMarker": "b"},
    )
    s3.add_response("list_object_versions", {}, {"Bucket": "bucket", "Prefix": "q"})
    assert [version.version_id for version in s3.hook.list_versions("bucket", ["p/", "q"])] == ["a", "b"]


def test_the_newest_version_is_pinned(s3):
    s3.add_response("head_object", HEAD, {"Bucket": "bucket", "Key": "k"})
    revision = s3.hook.head_version("bucket", "k")
    assert (revision.version_id, revision.etag, revision.size_bytes) == ("v1", "abc", 7)
    assert revision.last_modified == "2026-05-01T12:00:00+00:00"


PINNED = {"Bucket": "bucket", "Key": "k", "VersionId": "v1"}


@pytest.mark.parametrize(
    ("value", "uploader"),
    [
        ("dave", "dave"),
        ("=?UTF-8?B?SsO8cmdlbg==?=", "Jürgen"),
        ("=?utf-8?q?J=C3=BCrgen?= <j@corp>", "Jürgen <j@corp>"),
        ("=?UTF-8?B?abcde?=", "=?UTF-8?B?abcde?="),
        ("=?nonsense?B?eA==?=", "=?nonsense?B?eA==?="),
        ("=?UTF-8?B?ZGF2ZQAK?=", "dave"),
    ],
)
def test_the_uploader_is_the_one_the_metadata_names(s3, value, uploader):
    s3.add_response("head_object", {**HEAD, "Metadata": {"uploaded-by": value}}, PINNED)
    assert s3.hook.uploader("bucket", "k", "v1") == uploader


def test_a_version_that_is_gone_has_no_uploader_and_one_of_nobodys_an_empty_one(s3):
    s3.add_client_error("head_object", "404", http_status_code=404)
    assert s3.hook.uploader("bucket", "k", "v1") is None
    s3.add_response("head_object", HEAD, PINNED)
    s3.add_response("list_object_versions", {"Versions": [listed("v1")]})
    assert s3.hook.uploader("bucket", "k", "v1") == ""


def test_without_metadata_the_uploader_is_the_owner_of_that_version(s3):
    s3.add_response("head_object", HEAD, {"Bucket": "bucket", "Key": "k", "VersionId": "v1"})
    versions = [listed("v2", owner={"ID": "wrong"}), listed("v1", owner={"ID": "1234"}), listed("v1", key="kk")]
    s3.add_response("list_object_versions", {"Versions": versions}, {"Bucket": "bucket", "Prefix": "k"})
    assert s3.hook.uploader("bucket", "k", "v1") == "1234"


@pytest.mark.parametrize("code", ["404", "NoSuchVersion"])
def test_a_missing_object_is_none(s3, code):
    s3.add_client_error("head_object", code, http_status_code=404)
    assert s3.hook.head_version("bucket", "k") is None


def test_an_object_without_a_version_cannot_be_pinned(s3):
    s3.add_response("head_object", {**HEAD, "VersionId": "null"})
    with pytest.raises(PermanentError, match="turn versioning on"):
        s3.hook.head_version("bucket", "k")


def test_errors_are_translated_with_code_and_resource(s3):
    s3.add_client_error("head_object", "SlowDown", http_status_code=503)
    with pytest.raises(AwsError, match="s3://bucket/k") as caught:
        s3.hook.head_version("bucket", "k")
    assert caught.value.transient and caught.value.code == "SlowDown"


@pytest.mark.parametrize(("size_bytes", "fits"), [(4, True), (5, True), (6, False)])
def test_an_object_is_never_read_beyond_the_limit(s3, size_bytes, fits):
    stream = io.BytesIO(b"x" * size_bytes)
    s3.add_response("get_object", {"Body": StreamingBody(stream, size_bytes), "ContentLength": size_bytes})
    if fits:
        assert s3.hook.read_version("bucket", "k", "v1", max_bytes=5) == b"x" * size_bytes
    else:
        with pytest.raises(PermanentError, match="limit is 5"):
            s3.hook.read_version("bucket", "k", "v1", max_bytes=5)


def test_reading_a_missing_version_is_permanent(s3):
    s3.add_client_error("get_object", "NoSuchVersion", http_status_code=404)
    with pytest.raises(PermanentError, match="does not exist"):
        s3.hook.read_version("bucket", "k", "v1", max_bytes=5)


def test_put_if_absent_writes_once(s3):
    wanted = {"Bucket": "bucket", "Key": "k", "Body": b"1", "ContentType": "application/zip", "IfNoneMatch": "*"}
    s3.add_response("put_object", {}, wanted)
    s3.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
    s3.add_client_error("put_object", "AccessDenied", http_status_code=403)
    assert s3.hook.put_if_absent("bucket", "k", b"1", content_type="application/zip") is True
    assert s3.hook.put_if_absent("bucket", "k", b"1", content_type="application/zip") is False
    with pytest.raises(PermanentError, match="AccessDenied"):
        s3.hook.put_if_absent("bucket", "k", b"1", content_type="application/zip")


@pytest.mark.parametrize(
    ("answer", "there"), [({"Contents": [{"Key": "k"}]}, True), ({"Contents": [{"Key": "k2"}]}, False), ({}, False)]
)
def test_exists_async(answer, there):
    class Client:
        async def list_objects_v2(self, **arguments):
            assert arguments == {"Bucket": "bucket", "Prefix": "k", "MaxKeys": 1}
            return answer

    assert asyncio.run(exists_async(Client(), "bucket", "k")) is there


def test_uri_names_the_version():
    assert uri("b", "k") == "s3://b/k"
    assert uri("b", "k", "v") == "s3://b/k version v"
