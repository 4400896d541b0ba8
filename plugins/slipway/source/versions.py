"""The versions of uploads: listed, pinned, and ordered as S3 stored them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from typing import Any

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.s3 import UNVERSIONED, S3Store, iso_utc, uri
from slipway.errors import PermanentError
from slipway.plan import Revision

# How many versions are listed at a time where those of one second are wanted.
_SECOND_PAGE = 10


@dataclass(frozen=True, order=True)
class ObjectVersion:
    """One uploaded version of an object, which is no delete marker; sorts by the time of the upload.

    :param last_modified: ISO 8601, UTC
    :param rank: orders the versions of one second, the oldest first, because S3 gives whole seconds
    """

    last_modified: str
    rank: int
    key: str
    version_id: str


@dataclass(frozen=True)
class CurrentObject:
    """An object that exists now, as a listing shows it.

    :param etag: changes with the content, and with every upload where KMS encrypts it
    :param last_modified: ISO 8601, UTC
    """

    etag: str
    last_modified: str


def current_of(page: Mapping[str, Any]) -> dict[str, CurrentObject]:
    """Read a page of ListObjectsV2: the objects by key."""
    return {
        item["Key"]: CurrentObject(item["ETag"], iso_utc(item["LastModified"])) for item in page.get("Contents", ())
    }


async def current_object_async(client: Any, bucket: str, key: str) -> CurrentObject | None:
    """Look for one object in a listing; None where it does not exist now.

    A listing, because the answer to a HEAD request has no body: an expired token would be a bare 400.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html

    :param client: an aiobotocore S3 client
    :param bucket: the bucket
    :param key: the object's key; of the keys that begin with it, it is the first
    :raises slipway.errors.AwsError: when the call fails
    """
    with aws_call("look for the object", uri(bucket, key)):
        return current_of(await client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)).get(key)


class S3Versions(S3Store):
    """The versions in a bucket."""

    @patient
    def current_objects(self, bucket: str, prefix: str) -> dict[str, CurrentObject]:
        """List the objects below a prefix that exist now.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html

        :param bucket: the bucket
        :param prefix: key prefix
        :raises slipway.errors.AwsError: when a call fails
        """
        found: dict[str, CurrentObject] = {}
        with aws_call("list the objects", uri(bucket, prefix)):
            for page in self.s3.conn.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                found |= current_of(page)
        return found

    @patient
    def current_object(self, bucket: str, key: str) -> CurrentObject | None:
        """Look for one object in a listing; None where it does not exist now.

        :param bucket: the bucket
        :param key: the object's key; of the keys that begin with it, it is the first
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("look for the object", uri(bucket, key)):
            return current_of(self.s3.conn.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)).get(key)

    def head_version(self, bucket: str, key: str, version_id: str | None = None) -> Revision | None:
        """Describe one version of an object.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html

        :param bucket: the bucket
        :param key: the object's key
        :param version_id: the version; the newest if None
        :returns: the revision; None if the object or the version does not exist
        :raises PermanentError: when the bucket has no versioning
        :raises slipway.errors.AwsError: when a call fails
        """
        head = self.s3.head(bucket, key, version_id)
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
    def sequence(self, revision: Revision) -> str:
        """Return the sequence of a version, which orders it among all versions of its key.

        LastModified has whole seconds. For one second S3 lists the newest version first: the place in that order
        becomes the microseconds.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html

        :param revision: the version
        :returns: ISO 8601, UTC; later versions have later times
        :raises slipway.errors.AwsError: when the call fails
        """
        bucket, key, second = revision.bucket, revision.key, revision.written_at.replace(microsecond=0)
        with aws_call("list the object versions", uri(bucket, key)):
            # The listing starts after this version, with the one that was stored before it.
            pages = self.s3.conn.get_paginator("list_object_versions").paginate(
                Bucket=bucket,
                Prefix=key,
                KeyMarker=key,
                VersionIdMarker=revision.version_id,
                PaginationConfig={"PageSize": _SECOND_PAGE},
            )
            before = list(
                takewhile(
                    lambda item: item["Key"] == key and item["LastModified"].replace(microsecond=0) == second,
                    (item for page in pages for item in page.get("Versions", ())),
                )
            )
        return iso_utc(second + timedelta(microseconds=len(before)))
