"""S3: every call about object versions, which are what a release is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from itertools import takewhile
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from botocore.exceptions import ClientError

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.session import AwsHook
from slipway.errors import PermanentError
from slipway.plan import Revision

# User-defined metadata that an upload may carry to say who made it; S3 knows the account only.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
UPLOADED_BY = "uploaded-by"
# What S3 answers for an object of a bucket without versioning.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
UNVERSIONED = "null"

_MISSING_CODES = ("404", "NoSuchKey", "NoSuchVersion")
# IfNoneMatch answers 412 where the object exists, 409 where another writer of the same key won in the same instant.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_ALREADY_THERE_CODES = ("PreconditionFailed", "412")


@dataclass(frozen=True, order=True)
class ObjectVersion:
    """One uploaded version of an object; delete markers are none. Sorts by the time it was written.

    :param last_modified: ISO 8601, UTC
    :param rank: place among versions of one second, the oldest first: S3 lists to the second, the newest first
    """

    last_modified: str
    rank: int
    key: str
    version_id: str


def is_missing(error: ClientError) -> bool:
    """Tell whether S3 says that the object or the version does not exist."""
    return error.response.get("Error", {}).get("Code") in _MISSING_CODES


def iso_utc(moment: datetime) -> str:
    """:returns: the moment as ISO 8601 in UTC"""
    return moment.astimezone(UTC).isoformat()


def uri(bucket: str, key: str, version_id: str | None = None) -> str:
    """:returns: the object's s3:// URI, with the version if one is given"""
    return f"s3://{bucket}/{key}" + (f" version {version_id}" if version_id else "")


def versions_of(pages: Iterable[Mapping[str, Any]]) -> list[ObjectVersion]:
    """Read the answers of ListObjectVersions.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html

    :param pages: the answers, in their order
    :returns: every uploaded version, the oldest first
    """
    listed = [item for page in pages for item in page.get("Versions", ())]
    return sorted(
        ObjectVersion(iso_utc(item["LastModified"]), -place, item["Key"], item["VersionId"])
        for place, item in enumerate(listed)
    )


async def list_versions_async(client: Any, bucket: str, prefixes: Iterable[str]) -> list[ObjectVersion]:
    """List the versions below some prefixes without blocking the event loop.

    :param client: an aiobotocore S3 client, which the caller keeps from poll to poll
    :param bucket: the bucket
    :param prefixes: key prefixes; one List call each for up to 1000 versions
    :returns: every uploaded version, the oldest first
    :raises slipway.errors.AwsError: when a call fails
    """
    pages: list[Mapping[str, Any]] = []
    for prefix in prefixes:
        with aws_call("list the object versions", uri(bucket, prefix)):
            async for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
                pages.append(page)
    return versions_of(pages)


async def exists_async(client: Any, bucket: str, key: str) -> bool:
    """Ask whether an object exists now, which is not so when its newest version is a delete marker.

    A listing, because the answer to a HEAD request has no body: an expired token would be a bare 400.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html

    :param client: an aiobotocore S3 client
    :param bucket: the bucket
    :param key: the object's key
    :raises slipway.errors.AwsError: when the call fails
    """
    with aws_call("look for the object", uri(bucket, key)):
        # Keys come in order, so that the key itself is the first of those that begin with it.
        answer = await client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    return any(item["Key"] == key for item in answer.get("Contents", ()))


class S3VersionHook(AwsHook, S3Hook):
    """S3 seen as versions of objects instead of keys."""

    @property
    def _s3(self) -> Any:
        return self.conn

    @patient
    def list_versions(self, bucket: str, prefixes: Iterable[str]) -> list[ObjectVersion]:
        """List the versions below some prefixes.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html

        :param bucket: the bucket
        :param prefixes: key prefixes
        :returns: every uploaded version, the oldest first
        :raises slipway.errors.AwsError: when a call fails
        """
        pages: list[Mapping[str, Any]] = []
        for prefix in prefixes:
            with aws_call("list the object versions", uri(bucket, prefix)):
                pages += self._s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
        return versions_of(pages)

    @patient
    def head_version(self, bucket: str, key: str, version_id: str | None = None) -> Revision | None:
        """Describe one version of an object.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html

        :param bucket: the bucket
        :param key: the object's key
        :param version_id: the version; the newest if None
        :returns: the revision; None while the object, or that version of it, does not exist
        :raises PermanentError: when the bucket keeps no versions
        :raises slipway.errors.AwsError: when a call fails
        """
        head = self._head(bucket, key, version_id)
        if head is None:
            return None
        found = head.get("VersionId", UNVERSIONED)
        if found == UNVERSIONED:
            raise PermanentError(
                "Cannot pin an upload",
                resource=uri(bucket, key),
                why="the object has no version id",
                fix=f"turn versioning on for the bucket {bucket} and upload again",
            )
        return Revision(
            bucket=bucket,
            key=key,
            version_id=found,
            etag=head["ETag"].strip('"'),
            size_bytes=head["ContentLength"],
            last_modified=iso_utc(head["LastModified"]),
        )

    @patient
    def uploader(self, bucket: str, key: str, version_id: str) -> str | None:
        """Find out who uploaded a version: whom its metadata names, else the account that owns it.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html

        :param bucket: the bucket
        :param key: the object's key
        :param version_id: the version
        :returns: a name, empty where S3 has none; None if the version does not exist
        :raises slipway.errors.AwsError: when a call fails
        """
        head = self._head(bucket, key, version_id)
        if head is None:
            return None
        return _decoded(head.get("Metadata", {}).get(UPLOADED_BY, "")) or self._owner(bucket, key, version_id) or ""

    @patient
    def sequence(self, revision: Revision) -> str:
        """Place a version among all versions of its key.

        LastModified knows seconds only; within one, S3 lists the version that was stored last first. The place in
        that order becomes microseconds.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html

        :param revision: the version
        :returns: ISO 8601, UTC; later versions have later times
        :raises slipway.errors.AwsError: when the call fails
        """
        bucket, key, second = revision.bucket, revision.key, revision.written_at.replace(microsecond=0)
        with aws_call("list the object versions", uri(bucket, key)):
            # The listing begins behind this version, with the one stored before it.
            answer = self._s3.list_object_versions(
                Bucket=bucket, Prefix=key, KeyMarker=key, VersionIdMarker=revision.version_id
            )
        before = takewhile(
            lambda item: item["Key"] == key and item["LastModified"].replace(microsecond=0) == second,
            answer.get("Versions", ()),
        )
        return iso_utc(second + timedelta(microseconds=sum(1 for _ in before)))

    @patient
    def exists(self, bucket: str, key: str) -> bool:
        """:returns: whether the object exists now"""
        return self._head(bucket, key, None) is not None

    @patient
    def read_version(self, bucket: str, key: str, version_id: str | None = None, *, max_bytes: int) -> bytes:
        """Read one version of an object, never more than a limit.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html

        :param bucket: the bucket
        :param key: the object's key
        :param version_id: the version; the newest if None
        :param max_bytes: the largest size that is read
        :returns: the whole object
        :raises PermanentError: when it is larger, or does not exist
        :raises slipway.errors.AwsError: when the call fails
        """
        resource = uri(bucket, key, version_id)
        with aws_call("read the object", resource):
            try:
                answer = self._s3.get_object(Bucket=bucket, Key=key, **_version(version_id))
            except ClientError as error:
                if is_missing(error):
                    raise PermanentError("The object does not exist", resource=resource, why=str(error)) from error
                raise
            # One byte more tells too large from just right without trusting the announced length.
            body = answer["Body"]
            try:
                data = body.read(max_bytes + 1)
            finally:
                body.close()
        if len(data) > max_bytes:
            raise PermanentError(
                "The object is too large",
                resource=resource,
                why=f"it has {answer['ContentLength']} bytes, the limit is {max_bytes}",
            )
        return data

    @patient
    def put_if_absent(self, bucket: str, key: str, data: bytes, *, content_type: str) -> bool:
        """Write an object unless one of that key exists.

        Repeated after a lost answer it finds its own object; whoever is told False compares what is there.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

        :param bucket: the bucket
        :param key: the object's key
        :param data: the content
        :param content_type: its media type
        :returns: False if the object existed, whatever it holds
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("write the object", uri(bucket, key)):
            try:
                self._s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type, IfNoneMatch="*")
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _ALREADY_THERE_CODES:
                    return False
                raise
        return True

    def _head(self, bucket: str, key: str, version_id: str | None) -> dict[str, Any] | None:
        with aws_call("look at the object", uri(bucket, key, version_id)):
            try:
                return self._s3.head_object(Bucket=bucket, Key=key, **_version(version_id))
            except ClientError as error:
                if is_missing(error):
                    return None
                raise

    def _owner(self, bucket: str, key: str, version_id: str) -> str | None:
        """The account that owns a version: all that S3 itself knows about who wrote it."""
        with aws_call("list the object versions", uri(bucket, key)):
            for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
                for item in page.get("Versions", ()):
                    if item["Key"] == key and item["VersionId"] == version_id:
                        owner = item.get("Owner", {})
                        return owner.get("DisplayName") or owner.get("ID")
        return None


def _decoded(value: str) -> str:
    """Read metadata as it was given: S3 hands out other characters than ASCII as RFC 2047 says.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#UserMetadata
    """
    try:
        text = str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):
        text = value
    return "".join(one for one in text if one.isprintable()).strip()


def _version(version_id: str | None) -> dict[str, str]:
    return {"VersionId": version_id} if version_id else {}
