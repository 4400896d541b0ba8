"""The versions of uploads: listed, pinned, and ordered as S3 stored them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from typing import Any

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.s3 import UNVERSIONED, S3Store, iso_utc, uri
from slipway.errors import PermanentError
from slipway.plan import Revision


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


def versions_of(pages: Iterable[Mapping[str, Any]]) -> list[ObjectVersion]:
    """Read the responses of ListObjectVersions.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html

    :param pages: the responses, in their order
    :returns: every uploaded version, the oldest first
    """
    listed = [item for page in pages for item in page.get("Versions", ())]
    return sorted(
        ObjectVersion(iso_utc(item["LastModified"]), -place, item["Key"], item["VersionId"])
        for place, item in enumerate(listed)
    )


async def list_versions_async(client: Any, bucket: str, prefixes: Iterable[str]) -> list[ObjectVersion]:
    """List the versions below some prefixes without blocking the event loop.

    :param client: an aiobotocore S3 client, which the caller keeps between polls
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


class S3Versions(S3Store):
    """The versions in a bucket."""

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
                pages += self.s3.conn.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
        return versions_of(pages)

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
            answer = self.s3.conn.list_object_versions(
                Bucket=bucket, Prefix=key, KeyMarker=key, VersionIdMarker=revision.version_id
            )
        before = takewhile(
            lambda item: item["Key"] == key and item["LastModified"].replace(microsecond=0) == second,
            answer.get("Versions", ()),
        )
        return iso_utc(second + timedelta(microseconds=sum(1 for _ in before)))
