"""How an artefact's bytes are told apart with few calls; copies and real versions are in tests/local_aws."""

import hashlib
import io
from base64 import b64encode
from dataclasses import replace

import pytest
from botocore.response import StreamingBody

from slipway.aws.s3 import S3Hook
from slipway.errors import ArtefactChanged, PermanentError
from slipway.registry.artefact_store import S3Artefacts
from tests.unit.releases import ARTEFACT
from tests.unit.scripted_aws import client_error

DATA = b"a model" * 4_000_000
SHA256 = hashlib.sha256(DATA)
RECORDED = replace(ARTEFACT, sha256=SHA256.hexdigest(), size_bytes=len(DATA))


class S3:
    """One object, and what was asked about it."""

    def __init__(self, data: bytes | None = DATA, version_id: str | None = "v7", **checksum) -> None:
        self.data, self.version_id, self.checksum = data, version_id, checksum
        self.calls: list[str] = []
        self.largest_read = 0

    def copy(self, source, bucket, key, *, ExtraArgs, Config):
        self.calls.append("copy")
        self.copied = (source, ExtraArgs, Config)
        if self.data is None:
            raise client_error("404", status=404, operation="HeadObject")

    def head_object(self, *, Bucket, Key, ChecksumMode):
        self.calls.append("head")
        if self.data is None:
            raise client_error("404", status=404, operation="HeadObject")
        version = {"VersionId": self.version_id} if self.version_id else {}
        return {"ContentLength": len(self.data), "ETag": f'"{"e" * 32}"', **version, **self.checksum}

    def get_object(self, *, Bucket, Key, IfMatch, VersionId=None):
        self.calls.append("get")
        assert (IfMatch, VersionId) == (f'"{"e" * 32}"', self.version_id)
        return {"Body": StreamingBody(Reads(self.data, self), len(self.data))}


class Reads(io.BytesIO):
    """Remembers the largest piece that was asked for at once."""

    def __init__(self, data: bytes, s3: S3) -> None:
        super().__init__(data)
        self.s3 = s3

    def read(self, size=-1):
        self.s3.largest_read = max(self.s3.largest_read, len(self.getvalue()) if size is None or size < 0 else size)
        return super().read(size)


def artefacts(s3: S3) -> S3Artefacts:
    hook = S3Hook(aws_conn_id=None)
    hook.__dict__["conn"] = s3
    return S3Artefacts(hook)


def test_the_version_on_record_is_known_by_one_call():
    s3 = S3()
    artefacts(s3).check(RECORDED)
    assert s3.calls == ["head"]


@pytest.mark.parametrize("version_id", ["v8", "null", None])
def test_another_version_is_read_and_may_have_the_same_bytes(version_id):
    s3 = S3(version_id=version_id)
    artefacts(s3).check(RECORDED)
    assert s3.calls == ["head", "get"]


@pytest.mark.parametrize("version_id", ["v8", "null", None])
def test_other_bytes_are_refused_though_size_and_etag_are_the_same(version_id):
    s3 = S3(DATA[:-1] + b"?", version_id)
    with pytest.raises(ArtefactChanged, match=rf"{SHA256.hexdigest()}; found {len(DATA)} bytes.*version"):
        artefacts(s3).check(RECORDED)


def test_in_a_bucket_without_versions_the_bytes_are_always_hashed():
    s3 = S3(DATA[:-1] + b"?", "null")
    with pytest.raises(ArtefactChanged):
        artefacts(s3).check(replace(RECORDED, version_id="null"))


def test_what_is_gone_is_refused():
    with pytest.raises(ArtefactChanged, match="found no such object"):
        artefacts(S3(None)).check(RECORDED)


def test_a_copy_is_hashed_in_small_pieces():
    s3 = S3()
    kept = artefacts(s3).keep("s3://trained/model.tar.gz", "b", "k", kms_key="alias/mine")
    assert (kept.sha256, kept.size_bytes, kept.version_id) == (SHA256.hexdigest(), len(DATA), "v7")
    assert s3.calls == ["copy", "head", "get"]
    source, extra, config = s3.copied
    assert source == {"Bucket": "trained", "Key": "model.tar.gz"}
    assert extra == {"ChecksumAlgorithm": "SHA256", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/mine"}
    assert config.multipart_threshold == 5 * 1024**3
    assert 0 < s3.largest_read < len(DATA)


def test_what_s3_has_computed_of_all_bytes_is_not_read_again():
    s3 = S3(ChecksumSHA256=b64encode(SHA256.digest()).decode(), ChecksumType="FULL_OBJECT")
    assert artefacts(s3).keep("s3://trained/model.tar.gz", "b", "k").sha256 == SHA256.hexdigest()
    assert s3.calls == ["copy", "head"]


def test_a_checksum_of_parts_is_no_hash_of_the_bytes():
    s3 = S3(ChecksumSHA256=b64encode(hashlib.sha256(b"parts").digest()).decode() + "-2", ChecksumType="COMPOSITE")
    assert artefacts(s3).keep("s3://trained/model.tar.gz", "b", "k").sha256 == SHA256.hexdigest()
    assert s3.calls == ["copy", "head", "get"]


def test_a_job_whose_artefact_is_gone_cannot_be_registered():
    with pytest.raises(PermanentError, match="artefact of the training job does not exist"):
        artefacts(S3(None)).keep("s3://trained/model.tar.gz", "b", "k")
