"""S3Versions: versions of objects, through boto3's own client and its validation."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.errors import PermanentError
from slipway.source.versions import S3Versions, versions_of
from tests.unit.aws.stubs import stubbed

WRITTEN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HEAD = {"ETag": '"abc"', "ContentLength": 7, "LastModified": WRITTEN, "VersionId": "v1", "Metadata": {}}


def listed(version_id: str, *, key: str = "k", seconds: int = 0) -> dict:
    return {"Key": key, "VersionId": version_id, "LastModified": WRITTEN + timedelta(seconds=seconds)}


@pytest.fixture
def s3():
    versions = S3Versions(aws_conn_id=None)
    stubber = stubbed(versions.s3, "s3")
    stubber.versions = versions
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
    assert [version.version_id for version in s3.versions.list_versions("bucket", ["p/", "q"])] == ["a", "b"]


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
