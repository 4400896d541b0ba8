"""Rows and zips below keys that URLs, listings or file systems write in another way."""

import gzip

import pytest

from slipway.aws.s3 import S3Hook
from slipway.load.rows import Row
from slipway.quality.held_out import HeldOutHook
from slipway.source.versions import S3Versions
from tests.local_aws.hooks import lead_hooks_to

pytestmark = pytest.mark.local_aws

BUCKET = "odd-keys"
ROWS = b"1,2,3\n"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
PLACES = [
    "a b/c+d",
    "100%",
    "a%2Fb",
    "twice//slash",
    "dot.",
    "a&b=c?d#e",
    "caf\u00e9",
    "cafe\u0301",
    "\u65e5\u672c/\U0001f600",
    "quote'\"",
    "<xml>&amp;",
    "~tilde*()!",
    "tab\there",
    "k" * 1000,
]


@pytest.fixture(scope="module")
def s3(local_aws):
    """A bucket with versions, to which hooks go, too."""
    client = local_aws.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(local_aws.endpoint_url, patch)
        yield client


@pytest.mark.parametrize("place", PLACES)
def test_rows_are_read_from_a_folder_and_from_an_object(s3, place):
    s3.put_object(Bucket=BUCKET, Key=f"{place}/rows.csv", Body=gzip.compress(ROWS))
    s3.put_object(Bucket=BUCKET, Key=f"{place}/", Body=b"")
    s3.put_object(Bucket=BUCKET, Key=f"{place}x/other.csv", Body=b"0,0\n")
    rows = HeldOutHook(aws_conn_id=None)
    for uri in (f"s3://{BUCKET}/{place}/", f"s3://{BUCKET}/{place}", f"s3://{BUCKET}/{place}/rows.csv"):
        assert rows.rows(uri, 9) == [Row("1", "2,3")]


@pytest.mark.parametrize("place", PLACES)
def test_a_zip_is_listed_pinned_and_has_its_uploader(s3, place):
    key = f"zips/{place}.zip"[:1024]
    version_id = s3.put_object(Bucket=BUCKET, Key=key, Body=b"zip", Metadata={"uploaded-by": "dave"})["VersionId"]
    hook = S3Hook(aws_conn_id=None)
    assert hook.uploader(BUCKET, key, version_id) == "dave"
    versions = S3Versions(hook)
    assert versions.head_version(BUCKET, key, version_id).key == key
    assert [item.key for item in hook.objects(BUCKET, key)] == [key]
    assert hook.exists(BUCKET, key)
