"""A look at the versions of one key: which are new since the intake last looked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.s3 import S3Hook, iso_utc, uri
from slipway.source.uploads import KeyState
from slipway.source.versions import ObjectVersion

# A key rarely has more than a few new versions, and a delete marker may be above the newest one.
_PAGE_SIZE = 100
_NEWEST_PAGE_SIZE = 2
# S3's LastModified has whole seconds, and its servers' clocks may differ a little.
_SETTLED_AFTER = timedelta(seconds=2)


@dataclass(frozen=True)
class Found:
    """The versions of one key that need attention, and what to store about the key.

    :param open: the versions without a run, the oldest first
    :param state: what to store when none of them waits any longer; None where the key has no version any more
    """

    open: tuple[ObjectVersion, ...]
    state: KeyState | None

    def stored(self, waiting: Collection[str]) -> KeyState | None:
        """Return what to store while some versions wait."""
        return replace(self.state, waiting=tuple(waiting)) if self.state else None


class KeyLook:
    """Reads the pages of ListObjectVersions of one key, the newest version first, as far as is needed.

    S3 lists the versions of a key in the order in which they were stored, the newest first.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/list-obj-version-enabled-bucket.html

    :param key: the key
    :param before: what is stored about it; None if nothing
    :param newest_only: skip all versions but the newest, where nothing is stored
    """

    def __init__(self, key: str, before: KeyState | None, *, newest_only: bool = False) -> None:
        self.key = key
        self._before = before or KeyState()
        self._newest_only = newest_only and before is None
        self._new: list[ObjectVersion] = []
        self._waiting: list[ObjectVersion] = []
        self._missing = set(self._before.waiting)
        self._newest: Mapping[str, Any] | None = None
        self._reached = False
        self._listed_at: datetime | None = None
        self._place = 0

    def arguments(self, bucket: str) -> dict[str, Any]:
        """Return the arguments of the paginator."""
        page_size = _NEWEST_PAGE_SIZE if self._newest_only else _PAGE_SIZE
        return {"Bucket": bucket, "Prefix": self.key, "PaginationConfig": {"PageSize": page_size}}

    def read(self, page: Mapping[str, Any]) -> bool:
        """Read a page; return whether the next one is needed."""
        if self._listed_at is None:
            self._listed_at = parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"])
        for item in page.get("Versions", ()):
            if item["Key"] != self.key:
                # Keys that begin with this one come after it.
                return False
            self._take(item)
            if self._reached and not self._missing:
                return False
        return not any(item["Key"] != self.key for item in page.get("DeleteMarkers", ()))

    def found(self) -> Found:
        """Return what the pages have shown."""
        if self._newest is None:
            return Found((), None)
        written_at = self._newest["LastModified"]
        state = KeyState(
            newest=self._newest["VersionId"],
            newest_at=iso_utc(written_at),
            etag=self._newest["ETag"] if self._newest["IsLatest"] else "",
            settled=self._listed_at is not None and self._listed_at - written_at >= _SETTLED_AFTER,
        )
        new = self._new if self._reached or self._before.done or not self._before.newest else self._not_older()
        return Found(tuple(sorted({*new, *self._waiting})), state)

    def _take(self, item: Mapping[str, Any]) -> None:
        version = ObjectVersion(iso_utc(item["LastModified"]), -self._place, item["Key"], item["VersionId"])
        self._place += 1
        if self._newest is None:
            self._newest = item
        if version.version_id in self._missing:
            self._missing.remove(version.version_id)
            self._waiting.append(version)
        if version.version_id == self._before.newest:
            self._reached = True
        elif not self._reached and version.version_id not in self._before.done:
            self._new.append(version)
        if self._newest_only:
            self._reached = True

    def _not_older(self) -> list[ObjectVersion]:
        """Choose by time, where somebody has deleted the version that was the newest."""
        return [version for version in self._new if version.last_modified >= self._before.newest_at]


async def look_async(client: Any, bucket: str, look: KeyLook) -> Found:
    """List the versions of a key without blocking the event loop.

    :param client: an aiobotocore S3 client
    :param bucket: the bucket
    :param look: what to look for
    :raises slipway.errors.AwsError: when a call fails
    """
    with aws_call("list the object versions", uri(bucket, look.key)):
        listing = client.get_paginator("list_object_versions").paginate(**look.arguments(bucket))
        async with aclosing(aiter(listing)) as pages:
            async for page in pages:
                if not look.read(page):
                    break
    return look.found()


@patient
def look_at(s3: S3Hook, bucket: str, key: str, before: KeyState | None, *, newest_only: bool = False) -> Found:
    """List the versions of a key.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html

    :param s3: the hook
    :param bucket: the bucket
    :param key: the key
    :param before: what is stored about it
    :param newest_only: see KeyLook
    :raises slipway.errors.AwsError: when a call fails
    """
    look = KeyLook(key, before, newest_only=newest_only)
    with aws_call("list the object versions", uri(bucket, key)):
        for page in s3.conn.get_paginator("list_object_versions").paginate(**look.arguments(bucket)):
            if not look.read(page):
                break
    return look.found()
