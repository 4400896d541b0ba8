"""S3: objects and their versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.header import decode_header, make_header
from itertools import chain
from typing import Any

from botocore.exceptions import ClientError

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.session import AwsHook
from slipway.errors import AwsError, PermanentError

# User-defined metadata by which an upload can name its uploader; S3 itself knows only the account.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
UPLOADED_BY = "uploaded-by"
# What S3 answers for an object of a bucket without versioning.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
UNVERSIONED = "null"

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_MAX_DELETIONS = 1000
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
_PAGE_SIZE = 1000
# So many versions of a key are listed where one of the newest is wanted, and how the next page is asked for.
_NEWEST = 10
_VERSION_MARKERS = ("KeyMarker", "VersionIdMarker")
# 405 is the answer where the version is a delete marker, which has no content.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html
_MISSING_CODES = ("404", "NoSuchKey", "NoSuchVersion", "405", "MethodNotAllowed")
# IfNoneMatch is answered by 412 where the object exists, by 409 where another write of the key is under way.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_ALREADY_THERE_CODES = ("PreconditionFailed", "412")


@dataclass(frozen=True)
class StoredObject:
    """One object as a listing shows it."""

    key: str
    size_bytes: int
    modified: datetime


def is_missing_object(error: ClientError) -> bool:
    """Tell whether S3 says that the object or the version does not exist."""
    return error.response.get("Error", {}).get("Code") in _MISSING_CODES


def iso_utc(moment: datetime) -> str:
    """Write a moment as ISO 8601 in UTC."""
    return moment.astimezone(UTC).isoformat()


def bucket_and_key(object_uri: str) -> tuple[str, str]:
    """Split an s3:// URI into bucket and key, which may be a prefix."""
    bucket, _, key = object_uri.removeprefix("s3://").partition("/")
    return bucket, key


def uri(bucket: str, key: str, version_id: str | None = None) -> str:
    """Write an object's s3:// URI, with the version if one is given."""
    return f"s3://{bucket}/{key}" + (f" version {version_id}" if version_id else "")


class S3Hook(AwsHook):
    """Objects of S3, each in a named version or the newest.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
    """

    service = "s3"

    @patient
    def head(self, bucket: str, key: str, version_id: str | None = None) -> dict[str, Any] | None:
        """Look at one version of an object.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html

        :param bucket: the bucket
        :param key: the object's key
        :param version_id: the version; the newest if None
        :returns: what HeadObject answered; None while the object, or that version of it, does not exist
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("look at the object", uri(bucket, key, version_id)):
            try:
                return self.conn.head_object(Bucket=bucket, Key=key, **_version(version_id))
            except ClientError as error:
                if is_missing_object(error):
                    return None
                raise

    def exists(self, bucket: str, key: str) -> bool:
        """Tell whether the object exists now."""
        return self.head(bucket, key) is not None

    @patient
    def uploader(self, bucket: str, key: str, version_id: str) -> str | None:
        """Find out who uploaded a version: the name in its metadata, else the account that owns it.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html

        :param bucket: the bucket
        :param key: the object's key
        :param version_id: the version
        :returns: the name, empty where S3 has none; None if the version does not exist
        :raises slipway.errors.AwsError: when a call fails
        """
        head = self.head(bucket, key, version_id)
        if head is None:
            return None
        return _decoded(head.get("Metadata", {}).get(UPLOADED_BY, "")) or self._owner(bucket, key, version_id) or ""

    @patient
    def read_version(self, bucket: str, key: str, version_id: str | None = None, *, max_bytes: int) -> bytes:
        """Read one version of an object, at most as much as a limit.

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
                answer = self.conn.get_object(Bucket=bucket, Key=key, **_version(version_id))
            except ClientError as error:
                if is_missing_object(error):
                    raise PermanentError(
                        "The object does not exist",
                        resource=resource,
                        why=str(error),
                        fix="upload it again, or restore the version that was deleted (aws s3api list-object-versions)",
                    ) from error
                raise
            # One byte more shows that the object is too large, without relying on its announced length.
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
                fix="upload a smaller one",
            )
        return data

    @patient
    def put_if_absent(self, bucket: str, key: str, data: bytes, *, content_type: str) -> bool:
        """Write an object unless one of that key exists.

        When the answer to a write is lost, the repeated write returns False: the caller compares what is there.
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
                self.conn.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type, IfNoneMatch="*")
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _ALREADY_THERE_CODES:
                    return False
                raise
        return True

    @patient
    def objects(self, bucket: str, prefix: str, most: int | None = None) -> list[StoredObject]:
        """List the objects that exist now.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html

        :param bucket: the bucket
        :param prefix: what the keys begin with
        :param most: how many at most; None for all
        :raises slipway.errors.AwsError: when the call fails
        """
        # A page is no longer than what is wanted: to read a thousand objects takes 0.1 s of CPU.
        limit = {"PaginationConfig": {"MaxItems": most, "PageSize": min(most, _PAGE_SIZE)}} if most else {}
        with aws_call("list the objects", uri(bucket, prefix)):
            pages = self.conn.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **limit)
            return [one for page in pages for one in _stored(page)]

    @patient
    def page(self, bucket: str, prefix: str, after: str) -> tuple[list[StoredObject], bool]:
        """List a page of the objects that exist now, in the order of their keys.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html

        :param bucket: the bucket
        :param prefix: what the keys begin with
        :param after: what all of them come after; not necessarily a key
        :returns: the objects, and whether there are more
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("list the objects", uri(bucket, prefix)):
            answer = self.conn.list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=after)
            # A page may have fewer keys than fit, and even none, before the last one.
            while answer["IsTruncated"] and not answer.get("Contents"):
                token = answer["NextContinuationToken"]
                answer = self.conn.list_objects_v2(Bucket=bucket, Prefix=prefix, ContinuationToken=token)
        return _stored(answer), answer["IsTruncated"]

    @patient
    def remove(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects; in a versioned bucket they become noncurrent, and its lifecycle rules remove them later.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html

        :param bucket: the bucket
        :param keys: the objects' keys
        :raises slipway.errors.AwsError: when the call fails, or an object was not deleted
        """
        for start in range(0, len(keys), _MAX_DELETIONS):
            wanted = [{"Key": key} for key in keys[start : start + _MAX_DELETIONS]]
            with aws_call("delete the objects", uri(bucket, wanted[0]["Key"])):
                answer = self.conn.delete_objects(Bucket=bucket, Delete={"Objects": wanted, "Quiet": True})
            for refused in answer.get("Errors", ()):
                raise AwsError(
                    "Could not delete the object",
                    resource=uri(bucket, refused["Key"]),
                    why=f"DeleteObjects answered {refused.get('Code')}: {refused.get('Message', '')}",
                    fix="allow s3:DeleteObject there to the role of Airflow's connection",
                    code=str(refused.get("Code", "")),
                    operation="DeleteObjects",
                )

    def _owner(self, bucket: str, key: str, version_id: str) -> str | None:
        """Find the account that owns a version: S3 knows no more about who wrote it.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        where = {"Bucket": bucket, "Prefix": key}
        with aws_call("list the object versions", uri(bucket, key)):
            # A version that is released is one of the newest. To read a page of a thousand takes 0.1 s of CPU.
            first = self.conn.list_object_versions(**where, MaxKeys=_NEWEST)
            markers = {name: first[f"Next{name}"] for name in _VERSION_MARKERS if f"Next{name}" in first}
            older = self.conn.get_paginator("list_object_versions").paginate(**where, **markers) if markers else ()
            for item in (item for page in chain((first,), older) for item in page.get("Versions", ())):
                if item["Key"] != key:
                    # Keys that begin with this one come after it.
                    break
                if item["VersionId"] == version_id:
                    owner = item.get("Owner", {})
                    return owner.get("DisplayName") or owner.get("ID")
        return None


class S3Store:
    """Base of what reads and writes one kind of object in S3, through a hook that it may share with others.

    :param s3: the hook; a new one if None
    :param connection: arguments of the new hook, such as ``aws_conn_id``
    """

    def __init__(self, s3: S3Hook | None = None, **connection: Any) -> None:
        self.s3 = s3 or S3Hook(**connection)
        self.log = self.s3.log


def _stored(page: Mapping[str, Any]) -> list[StoredObject]:
    return [StoredObject(one["Key"], one["Size"], one["LastModified"]) for one in page.get("Contents", ())]


def _decoded(value: str) -> str:
    """Decode metadata: S3 returns characters outside ASCII encoded by RFC 2047. What is malformed stays as it is.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#UserMetadata
    """
    try:
        text = str(make_header(decode_header(value)))
    except (MessageError, LookupError, ValueError):
        text = value
    spaced = "".join(" " if one.isspace() else one for one in text if one.isspace() or one.isprintable())
    return " ".join(spaced.split())


def _version(version_id: str | None) -> dict[str, str]:
    return {"VersionId": version_id} if version_id else {}
