"""S3Hook: objects and their versions, through boto3's own client and its validation."""

import io
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from botocore.response import StreamingBody

from slipway.aws.s3 import S3Hook, StoredObject, bucket_and_key, uri
from slipway.errors import AwsError, PermanentError
from tests.unit.aws.stubs import stubbed
from tests.unit.scripted_aws import Script

WRITTEN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HEAD = {"ETag": '"abc"', "ContentLength": 7, "LastModified": WRITTEN, "VersionId": "v1", "Metadata": {}}


def listed(version_id: str, *, key: str = "k", seconds: int = 0, owner: dict | None = None) -> dict:
    item = {"Key": key, "VersionId": version_id, "LastModified": WRITTEN + timedelta(seconds=seconds)}
    return {**item, **({"Owner": owner} if owner else {})}


@pytest.fixture
def s3():
    hook = S3Hook(aws_conn_id=None)
    stubber = stubbed(hook, "s3")
    stubber.hook = hook
    yield stubber
    stubber.assert_no_pending_responses()


PINNED = {"Bucket": "bucket", "Key": "k", "VersionId": "v1"}
NEWEST = {"Bucket": "bucket", "Prefix": "k", "MaxKeys": 10}


def test_a_page_has_no_more_objects_than_are_wanted(s3):
    item = {"Key": "p/1", "Size": 1, "LastModified": WRITTEN}
    asked = {"Bucket": "bucket", "Prefix": "p/", "MaxKeys": 2}
    s3.add_response("list_objects_v2", {"Contents": [item, {**item, "Key": "p/2"}], "IsTruncated": False}, asked)
    s3.add_response("list_objects_v2", {"Contents": [item], "IsTruncated": False}, asked | {"MaxKeys": 1000})
    s3.add_response("list_objects_v2", {"Contents": [item], "IsTruncated": False}, {"Bucket": "bucket", "Prefix": "p/"})
    assert [one.key for one in s3.hook.objects("bucket", "p/", 2)] == ["p/1", "p/2"]
    assert len(s3.hook.objects("bucket", "p/", 5000)) == len(s3.hook.objects("bucket", "p/")) == 1


def test_an_empty_page_that_is_not_the_last_one_is_gone_past(s3):
    asked = {"Bucket": "bucket", "Prefix": "p/"}
    empty = {"IsTruncated": True, "NextContinuationToken": "t"}
    item = {"Key": "p/2", "Size": 1, "LastModified": WRITTEN}
    s3.add_response("list_objects_v2", empty, asked | {"StartAfter": "p/1"})
    s3.add_response("list_objects_v2", empty, asked | {"ContinuationToken": "t"})
    s3.add_response("list_objects_v2", {"Contents": [item], "IsTruncated": True}, asked | {"ContinuationToken": "t"})
    objects, more = s3.hook.page("bucket", "p/", "p/1")
    assert ([one.key for one in objects], more) == (["p/2"], True)


@pytest.mark.parametrize(
    ("value", "uploader"),
    [
        ("dave", "dave"),
        ("=?UTF-8?B?SsO8cmdlbg==?=", "Jürgen"),
        ("=?utf-8?q?J=C3=BCrgen?= <j@corp>", "Jürgen <j@corp>"),
        ("=?é?b?YQ==?=", "=?é?b?YQ==?="),
        ("=?UTF-8?Q?J=C3=BCrgen_M=C3=BCller?=", "Jürgen Müller"),
        ("=?UTF-8?Q?J=C3=BC?= =?UTF-8?Q?rgen?=", "Jürgen"),
        ("=?UTF-8?Q?J=C3?=\r\n =?UTF-8?Q?=BCrgen?=", "Jürgen"),
        ("=?UTF-8?B?5p2O44CA5piO?=", "李 明"),
        ("=?UTF-8?Q?J=C2=A0M?=", "J M"),
        ("=?UTF-8?Q?=FF?=", "=?UTF-8?Q?=FF?="),
        ("=?UTF-8?Q?J=C3=BC?", "=?UTF-8?Q?J=C3=BC?"),
        ("=?UTF-8?Q?alice=E2=80=AE=00?=", "alice"),
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
    s3.add_response("list_object_versions", {"Versions": versions}, NEWEST)
    assert s3.hook.uploader("bucket", "k", "v1") == "1234"


def test_the_owner_of_an_old_version_is_looked_for_below_the_newest(s3):
    s3.add_response("head_object", HEAD, PINNED)
    more = {"IsTruncated": True, "NextKeyMarker": "k", "NextVersionIdMarker": "v2"}
    s3.add_response("list_object_versions", {"Versions": [listed("v2", owner={"ID": "wrong"})], **more}, NEWEST)
    rest = {"Bucket": "bucket", "Prefix": "k", "KeyMarker": "k", "VersionIdMarker": "v2"}
    s3.add_response("list_object_versions", {"Versions": [listed("v1", owner={"ID": "1234"})]}, rest)
    assert s3.hook.uploader("bucket", "k", "v1") == "1234"


def test_the_versions_of_other_keys_are_not_searched_for_an_owner(s3):
    s3.add_response("head_object", HEAD, PINNED)
    more = {"IsTruncated": True, "NextKeyMarker": "kk", "NextVersionIdMarker": "v1"}
    s3.add_response("list_object_versions", {"Versions": [listed("v1", key="kk")], **more}, NEWEST)
    assert s3.hook.uploader("bucket", "k", "v1") == ""


# The last one for a version that is a delete marker. https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html
@pytest.mark.parametrize("code", ["404", "NoSuchKey", "NoSuchVersion", "405"])
def test_a_missing_object_is_none(s3, code):
    s3.add_client_error("head_object", code, http_status_code=404)
    assert s3.hook.head("bucket", "k", "v1") is None


def test_errors_are_translated_with_code_and_resource(s3):
    s3.add_client_error("head_object", "SlowDown", http_status_code=503)
    with pytest.raises(AwsError, match="s3://bucket/k") as caught:
        s3.hook.head("bucket", "k")
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


@pytest.mark.parametrize("code", ["NoSuchVersion", "MethodNotAllowed"])
def test_reading_a_missing_version_is_permanent(s3, code):
    s3.add_client_error("get_object", code)
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


def test_uri_names_the_version():
    assert uri("b", "k") == "s3://b/k"
    assert uri("b", "k", "v") == "s3://b/k version v"


def test_a_uri_is_split_where_it_was_put_together():
    assert bucket_and_key(uri("b", "k/l")) == ("b", "k/l")


def hook(**operations) -> S3Hook:
    made = S3Hook(aws_conn_id=None)
    made.__dict__["conn"] = SimpleNamespace(**operations)
    return made


NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def test_every_page_is_listed():
    pages = [
        {"Contents": [{"Key": "a", "Size": 1, "LastModified": NOON}]},
        {},
        {"Contents": [{"Key": "b", "Size": 2, "LastModified": NOON}]},
    ]
    listing = SimpleNamespace(paginate=lambda Bucket, Prefix: pages)
    assert hook(get_paginator=lambda operation: listing).objects("bucket", "p/") == [
        StoredObject("a", 1, NOON),
        StoredObject("b", 2, NOON),
    ]


def test_thousands_are_deleted_a_thousand_at_a_time():
    delete = Script({})
    hook(delete_objects=delete).remove("bucket", [str(number) for number in range(1001)])
    assert [len(call["Delete"]["Objects"]) for call in delete.calls] == [1000, 1]


def test_an_object_that_is_refused_is_named():
    delete = Script({"Errors": [{"Key": "b", "Code": "AccessDenied", "Message": "no"}]})
    with pytest.raises(AwsError, match=r"s3://bucket/b.*AccessDenied: no"):
        hook(delete_objects=delete).remove("bucket", ["a", "b"])
