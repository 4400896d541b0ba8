"""Reads S3's buckets and the names of their objects for people; no content."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.framework.store import Scope
from local_aws.host.s3_index import S3Index

PRIVATE_PARTS = {"ministack.services.s3": ("_bucket_versioning", "_buckets")}


@dataclass(frozen=True)
class ObjectVersion:
    """A version of an object, or its delete marker.

    :param modified: as S3 writes it
    :param size: bytes; None for a delete marker
    """

    version_id: str
    modified: str
    size: int | None
    etag: str
    latest: bool


@dataclass(frozen=True)
class ListedKey:
    """A key of a bucket.

    :param current: its newest version
    :param versions: how many versions it has, delete markers included
    """

    key: str
    current: ObjectVersion
    versions: int


class ObjectViews:
    """What the console shows of S3; any thread may ask.

    :param modules: ministack's modules by name
    :param index: what S3 knows
    """

    def __init__(self, modules: Mapping[str, Any], index: S3Index) -> None:
        self._s3 = modules["ministack.services.s3"]
        self._index = index

    def buckets(self, scope: Scope) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the account's buckets by name, with created, region and versioning."""
        found = []
        for (account, name), bucket in list(self._s3._buckets._data.items()):
            if account == scope.account_id:
                versioning = self._s3._bucket_versioning._data.get((account, name)) or "off"
                described = {"created": bucket["created"], "region": bucket.get("region", ""), "versioning": versioning}
                found.append((name, described))
        return sorted(found)

    def count(self, scope: Scope, bucket: str, most: int) -> int:
        """Count the objects of a bucket, up to a number: all S3 calls wait meanwhile."""
        return self._index.count_objects((scope.account_id, bucket), most)

    def keys(self, scope: Scope, bucket: str, prefix: str, after: str, count: int) -> list[ListedKey] | None:
        """Return a page of a bucket's keys, deleted ones with versions too.

        :param prefix: what the keys begin with
        :param after: the last key of the page before
        :param count: of the page
        :returns: by key; None when there is no such bucket
        """
        holder = scope.account_id, bucket
        if holder not in self._s3._buckets._data:
            return None
        listed: list[ListedKey] = []
        at, position = prefix > after, max(prefix, after)
        while len(listed) < count and (key := self._index.next_key(holder, position, at=at)) is not None:
            if not key.startswith(prefix):
                break
            listed.append(ListedKey(key, self.versions(scope, bucket, key, 1)[0], self._index.count(holder, key) or 1))
            at, position = False, key
        return listed

    def versions(self, scope: Scope, bucket: str, key: str, count: int = -1) -> list[ObjectVersion]:
        """Return versions of a key, the newest first; none when there is no such key.

        :param count: at most so many; all for -1
        """
        kept = self._index.newest((scope.account_id, bucket), key, count)
        if kept:
            return [_version(one) for one in kept]
        found = self._index.object((scope.account_id, bucket), key)
        return [] if found is None else [_version({"version_id": "null", "is_latest": True, **found})]


def _version(one: Mapping[str, Any]) -> ObjectVersion:
    marker = bool(one.get("is_delete_marker"))
    return ObjectVersion(
        one.get("version_id") or "null",
        one["last_modified"],
        None if marker else one["size"],
        "" if marker else one["etag"].strip('"'),
        bool(one.get("is_latest")),
    )
