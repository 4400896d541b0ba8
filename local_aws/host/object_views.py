"""Reads S3's buckets and the names of their objects for people; no content."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.framework.store import Scope

PRIVATE_PARTS = {"ministack.services.s3": ("_bucket_versioning", "_buckets", "_object_versions")}


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
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._s3 = modules["ministack.services.s3"]

    def buckets(self, scope: Scope) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the account's buckets by name, with created, region, versioning and how many objects there are."""
        found = []
        for (account, name), bucket in list(self._s3._buckets._data.items()):
            if account == scope.account_id:
                versioning = self._s3._bucket_versioning._data.get((account, name)) or "off"
                described = {"created": bucket["created"], "region": bucket.get("region", ""), "versioning": versioning}
                found.append((name, {**described, "objects": len(bucket["objects"])}))
        return sorted(found)

    def keys(self, scope: Scope, bucket: str, prefix: str, after: str, count: int) -> list[ListedKey] | None:
        """Return a page of a bucket's keys, deleted ones with versions too.

        :param prefix: what the keys begin with
        :param after: the last key of the page before
        :param count: of the page
        :returns: by key; None when there is no such bucket
        """
        held = self._s3._buckets._data.get((scope.account_id, bucket))
        if held is None:
            return None
        # Lists of references: a change by another thread must not disturb the walk.
        current = list(held["objects"])
        past = [
            key
            for account, (holder, key) in list(self._s3._object_versions._data)
            if holder == bucket and account == scope.account_id and key not in held["objects"]
        ]
        wanted = (key for key in (*current, *past) if key > after and key.startswith(prefix))
        listed = []
        for key in heapq.nsmallest(count, wanted):
            if versions := self.versions(scope, bucket, key):
                listed.append(ListedKey(key, versions[0], len(versions)))
        return listed

    def versions(self, scope: Scope, bucket: str, key: str) -> list[ObjectVersion]:
        """Return the versions of a key, the newest first; none when there is no such key."""
        kept = list(self._s3._object_versions._data.get((scope.account_id, (bucket, key))) or [])
        if kept:
            return [_version(one) for one in reversed(kept)]
        held = self._s3._buckets._data.get((scope.account_id, bucket)) or {"objects": {}}
        found = held["objects"].get(key)
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
