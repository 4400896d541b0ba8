"""A release's own copy of its model in S3: hashed once, and compared with its record before it is served."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from botocore.exceptions import ClientError

from slipway import names
from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.s3 import UNVERSIONED, S3Store, bucket_and_key, is_missing_object, uri
from slipway.errors import PermanentError
from slipway.registry.artefact import Artefact, changed

# The limit of CopyObject; boto3 copies larger objects in parts. S3 computes the SHA-256 of all bytes only for objects
# in one part.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
_COPY_OBJECT_MAX_BYTES = 5 * 1024**3
_PART_BYTES = 512 * 1024**2
_READ_BYTES = 8 * 1024**2
_LOG_EVERY_BYTES = 1024**3


class S3Artefacts(S3Store):
    """Models in S3."""

    @patient
    def keep(self, source_uri: str, bucket: str, key: str, *, kms_key: str | None = None) -> Artefact:
        """Copy an artefact within S3, and hash the copy.

        A repeated call copies again. The hash is of the copy's own version: later changes of the source do not matter.
        https://boto3.amazonaws.com/v1/documentation/api/latest/reference/services/s3/client/copy.html

        :param source_uri: the S3 URI of a training job's artefact
        :param bucket: the bucket of the copy
        :param key: the key of the copy
        :param kms_key: encrypts the copy; the bucket's default if None
        :returns: the copy
        :raises PermanentError: when there is no such artefact
        :raises slipway.errors.AwsError: when a call fails
        """
        from boto3.s3.transfer import TransferConfig

        source_bucket, source_key = bucket_and_key(source_uri)
        # In this thread, so that the end of the task ends the copy. Parts are copied within S3, in seconds each.
        transfer = TransferConfig(
            multipart_threshold=_COPY_OBJECT_MAX_BYTES, multipart_chunksize=_PART_BYTES, use_threads=False
        )
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        with aws_call("copy the artefact", source_uri):
            try:
                self.s3.conn.copy(
                    {"Bucket": source_bucket, "Key": source_key},
                    bucket,
                    key,
                    ExtraArgs={"ChecksumAlgorithm": "SHA256", **encryption},
                    Config=transfer,
                )
            except ClientError as error:
                if is_missing_object(error):
                    raise PermanentError(
                        "The artefact of the training job does not exist",
                        resource=source_uri,
                        why=str(error),
                        fix=f"find out who removed it, then release the version again: {names.RELEASE_A_VERSION}",
                    ) from error
                raise
        copy = self._look(bucket, key)
        if copy is None:
            raise PermanentError(
                "The copy of the artefact is gone",
                resource=uri(bucket, key),
                why="something deleted it right after it was made",
                fix="look for a lifecycle rule or a program that deletes there, and end it; then clear this task, "
                "which copies again",
            )
        self.log.info("Copied %s to %s", source_uri, uri(bucket, key))
        return self._artefact(bucket, key, copy)

    @patient
    def check(self, recorded: Artefact) -> None:
        """Refuse an artefact whose bytes are not those on record.

        In a bucket with versioning each write makes a new version, so the version on record has the bytes on record.
        Another version, or none, must be hashed: an ETag is no proof.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersioningEnabledBuckets.html

        :param recorded: the artefact on record
        :raises slipway.errors.ArtefactChanged: when they are others
        :raises slipway.errors.AwsError: when a call fails
        """
        bucket, key = recorded.place
        head = self._look(bucket, key)
        if head is None:
            raise changed(recorded, None)
        version_id = head.get("VersionId", UNVERSIONED)
        if version_id == recorded.version_id != UNVERSIONED:
            return
        found = self._artefact(bucket, key, head)
        if found.sha256 != recorded.sha256:
            raise changed(recorded, found)
        self.log.warning("%s is version %s instead of %s, with the same bytes", recorded.uri, version_id, recorded)

    def _artefact(self, bucket: str, key: str, head: Mapping[str, Any]) -> Artefact:
        return Artefact(
            uri=uri(bucket, key),
            size_bytes=head["ContentLength"],
            etag=head["ETag"].strip('"'),
            version_id=head.get("VersionId", UNVERSIONED),
            sha256=_known_sha256(head) or self._read_sha256(bucket, key, head),
        )

    def _look(self, bucket: str, key: str) -> dict[str, Any] | None:
        with aws_call("look at the artefact", uri(bucket, key)):
            try:
                return self.s3.conn.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if is_missing_object(error):
                    return None
                raise

    def _read_sha256(self, bucket: str, key: str, head: Mapping[str, Any]) -> str:
        """Hash the object of a HeadObject in pieces, because it may be large."""
        version = {"VersionId": head["VersionId"]} if "VersionId" in head else {}
        digest, read_bytes, total_bytes = hashlib.sha256(), 0, head["ContentLength"]
        with aws_call("read the artefact", uri(bucket, key)):
            # IfMatch: without versions, another object may have been written since.
            answer = self.s3.conn.get_object(Bucket=bucket, Key=key, IfMatch=head["ETag"], **version)
            with closing(answer["Body"]) as body:
                for piece in body.iter_chunks(_READ_BYTES):
                    digest.update(piece)
                    before, read_bytes = read_bytes, read_bytes + len(piece)
                    if read_bytes // _LOG_EVERY_BYTES > before // _LOG_EVERY_BYTES:
                        self.log.info("Hashed %d of %d bytes of %s", read_bytes, total_bytes, uri(bucket, key))
        return digest.hexdigest()


def _known_sha256(head: Mapping[str, Any]) -> str | None:
    """Return the SHA-256 that S3 has computed of all bytes, hexadecimal; None where it has none.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html

    :param head: headObject's answer, with ChecksumMode ENABLED
    """
    if head.get("ChecksumType") != "FULL_OBJECT" or "ChecksumSHA256" not in head:
        return None
    return b64decode(head["ChecksumSHA256"]).hex()
