"""Copies of artefacts within S3: in one piece, in parts, and what they are hashed from."""

import hashlib

import pytest

from slipway.errors import ArtefactChanged, PermanentError
from slipway.registry import artefact_store
from slipway.registry.artefact_store import S3Artefacts
from tests.local_aws.hooks import lead_hooks_to

pytestmark = pytest.mark.local_aws

MIB = 1024**2
SOURCE, BUCKET = "trained-artefacts", "kept-artefacts"


@pytest.fixture(scope="module")
def aws(local_aws):
    """The local AWS with a bucket that jobs write to, and one with versions."""
    s3 = local_aws.client("s3")
    for bucket in (SOURCE, BUCKET):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(local_aws.endpoint_url, patch)
        yield local_aws


def keep(aws, key: str, data: bytes, **upload) -> tuple:
    """Keep a copy of an upload; gives it, and what was called for it."""
    aws.client("s3").put_object(Bucket=SOURCE, Key=key, Body=data, **upload)
    before = len(aws.ledger(service="s3"))
    kept = S3Artefacts(aws_conn_id=None).keep(f"s3://{SOURCE}/{key}", BUCKET, key)
    return kept, [call["operation"] for call in aws.ledger(service="s3")[before:]]


def test_a_copy_in_one_piece(aws):
    kept, calls = keep(aws, "one/model.tar.gz", b"a model")
    assert (kept.uri, kept.size_bytes) == (f"s3://{BUCKET}/one/model.tar.gz", 7)
    assert kept.sha256 == hashlib.sha256(b"a model").hexdigest()
    assert calls == ["HeadObject", "CopyObject", "HeadObject", "GetObject"]
    version = aws.client("s3").head_object(Bucket=BUCKET, Key="one/model.tar.gz", VersionId=kept.version_id)
    assert version["ETag"].strip('"') == kept.etag


def test_a_copy_in_parts_is_hashed_whole(aws, monkeypatch):
    monkeypatch.setattr(artefact_store, "_COPY_OBJECT_MAX_BYTES", 6 * MIB)
    monkeypatch.setattr(artefact_store, "_PART_BYTES", 5 * MIB)
    data = bytes(range(256)) * 4096 * 11
    kept, calls = keep(aws, "parts/model.tar.gz", data)
    assert kept.sha256 == hashlib.sha256(data).hexdigest()
    assert kept.etag.endswith("-3")
    assert calls.count("UploadPartCopy") == 3 and "CompleteMultipartUpload" in calls
    S3Artefacts(aws_conn_id=None).check(kept)


def test_what_s3_has_hashed_is_not_downloaded(aws):
    kept, calls = keep(aws, "hashed/model.tar.gz", b"a model", ChecksumAlgorithm="SHA256")
    assert kept.sha256 == hashlib.sha256(b"a model").hexdigest()
    assert calls == ["HeadObject", "CopyObject", "HeadObject"]


def test_what_a_job_writes_afterwards_is_another_object(aws):
    kept, _ = keep(aws, "later/model.tar.gz", b"a model")
    aws.client("s3").put_object(Bucket=SOURCE, Key="later/model.tar.gz", Body=b"another")
    S3Artefacts(aws_conn_id=None).check(kept)


def test_a_bucket_whose_versions_were_suspended_is_read(aws):
    kept, _ = keep(aws, "suspended/model.tar.gz", b"a model")
    s3, hook = aws.client("s3"), S3Artefacts(aws_conn_id=None)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    try:
        s3.put_object(Bucket=BUCKET, Key="suspended/model.tar.gz", Body=b"a model")
        hook.check(kept)
        s3.put_object(Bucket=BUCKET, Key="suspended/model.tar.gz", Body=b"A model")
        with pytest.raises(ArtefactChanged, match=r"found 7 bytes, ETag \w+, version null"):
            hook.check(kept)
    finally:
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})


def test_nothing_to_copy(aws):
    with pytest.raises(PermanentError, match="artefact of the training job does not exist"):
        S3Artefacts(aws_conn_id=None).keep(f"s3://{SOURCE}/none/model.tar.gz", BUCKET, "none")
