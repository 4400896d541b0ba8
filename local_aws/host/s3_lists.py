"""S3's lists of objects and versions by page: a page costs its length, whatever the bucket holds.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from local_aws.host.s3_index import Holder, Record, S3Index

PRIVATE_PARTS = {
    "ministack.core.responses": ("get_account_id",),
    "ministack.services.s3": (
        "S3_NS",
        "_canonical_owner_id",
        "_collect_list_entries",
        "_ensure_bucket",
        "_list_object_versions",
        "_list_objects_v1",
        "_list_objects_v2",
        "_no_such_bucket",
        "_qp",
        "_xml_body",
    ),
}

_LISTED: ContextVar[str] = ContextVar("local_aws.s3_listed_bucket")
_LAST = chr(0x10FFFF)


class S3Lists:
    """ministack's lists, read from the index.

    :param modules: ministack's modules by name
    :param index: what S3 knows
    """

    def __init__(self, modules: Mapping[str, Any], index: S3Index) -> None:
        self._s3 = modules["ministack.services.s3"]
        self._account_id = modules["ministack.core.responses"].get_account_id
        self._index = index
        for name in ("_list_objects_v1", "_list_objects_v2"):
            setattr(self._s3, name, _of_bucket(getattr(self._s3, name)))
        self._s3._collect_list_entries = self._entries
        self._s3._list_object_versions = self._versions

    def _entries(
        self, objects: Any, prefix: str, delimiter: str, count: int, after: str
    ) -> tuple[list[str], list[str], bool, str]:
        """Return keys, common prefixes, whether there are more, and the last one of a page."""
        holder = self._account_id(), _LISTED.get()
        keys: list[str] = []
        groups: list[str] = []
        last = ""
        for entry, is_group in _walk(self._index.next_object, holder, prefix, delimiter, after):
            if len(keys) + len(groups) >= count:
                return keys, groups, True, last
            (groups if is_group else keys).append(entry)
            last = entry
        return keys, groups, False, last

    def _versions(self, bucket: str, query: Any) -> Any:
        """Answer ListObjectVersions."""
        s3 = self._s3
        if s3._ensure_bucket(bucket) is None:
            return s3._no_such_bucket(bucket)
        asked = {name: s3._qp(query, name, "") for name in ("prefix", "delimiter", "key-marker", "version-id-marker")}
        most = int(s3._qp(query, "max-keys", "1000"))
        rows: list[Element] = []
        groups: list[str] = []
        following = None
        for key, version in self._walked((self._account_id(), bucket), asked, most):
            if len(rows) + len(groups) >= most:
                following = rows or groups
                break
            if version is None:
                groups.append(key)
            else:
                rows.append(self._described(key, version))
            last = key, version["version_id"] if version else ""
        root = Element("ListVersionsResult", xmlns=s3.S3_NS)
        for name, text in (
            ("Name", bucket),
            ("Prefix", asked["prefix"]),
            ("Delimiter", asked["delimiter"]),
            ("KeyMarker", asked["key-marker"]),
            ("VersionIdMarker", asked["version-id-marker"]),
            ("MaxKeys", str(most)),
            ("IsTruncated", "true" if following else "false"),
            *((("NextKeyMarker", last[0]), ("NextVersionIdMarker", last[1])) if following else ()),
        ):
            if text or name not in ("Delimiter", "NextVersionIdMarker"):
                SubElement(root, name).text = text
        root.extend(rows)
        for group in groups:
            SubElement(SubElement(root, "CommonPrefixes"), "Prefix").text = group
        return 200, {"Content-Type": "application/xml"}, s3._xml_body(root)

    def _walked(self, holder: Holder, asked: dict[str, str], most: int) -> Iterator[tuple[str, Record | None]]:
        """Return keys with their versions, and common prefixes without, in the order of the list."""
        marker, version = asked["key-marker"], asked["version-id-marker"]
        if version and marker.startswith(asked["prefix"]):
            for one in self._index.newest(holder, marker, most + 1, version):
                yield marker, one
        walk = _walk(self._index.next_key, holder, asked["prefix"], asked["delimiter"], marker)
        for key, is_group in walk:
            if is_group:
                yield key, None
                continue
            found = self._index.newest(holder, key, most + 1)
            if not found:
                current = self._s3._buckets.get(holder[1])["objects"].get(key)
                found = [{**current, "version_id": current.get("version_id") or "null", "is_latest": True}]
            for one in found:
                yield key, one

    def _described(self, key: str, version: Record) -> Element:
        marker = version.get("is_delete_marker")
        element = Element("DeleteMarker" if marker else "Version")
        told = {
            "Key": key,
            "VersionId": version["version_id"],
            "IsLatest": "true" if version["is_latest"] else "false",
            "LastModified": version["last_modified"],
        }
        if not marker:
            told |= {
                "ETag": version["etag"],
                "Size": str(version["size"]),
                "StorageClass": version.get("storage_class") or "STANDARD",
            }
        for name, text in told.items():
            SubElement(element, name).text = text
        owner = SubElement(element, "Owner")
        SubElement(owner, "ID").text = self._s3._canonical_owner_id()
        SubElement(owner, "DisplayName").text = "ministack"
        return element


def _walk(
    following: Callable[..., str | None], holder: Holder, prefix: str, delimiter: str, after: str
) -> Iterator[tuple[str, bool]]:
    """Return a list's entries, each with whether it is a common prefix, which stands for all keys below it.

    :param following: returns the first key from a text on
    :param after: the last entry before
    """
    at, position = True, prefix
    if after >= prefix:
        in_group = delimiter and after.endswith(delimiter) and after != prefix
        at, position = False, after + _LAST if in_group and after.startswith(prefix) else after
    while (key := following(holder, position, at=at)) is not None and key.startswith(prefix):
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            yield key, False
            at, position = False, key
        else:
            group = key[: cut + len(delimiter)]
            yield group, True
            at, position = False, group + _LAST


def _of_bucket(listed: Callable[..., Any]) -> Callable[..., Any]:
    def noted(bucket: str, query: Any) -> Any:
        marked = _LISTED.set(bucket)
        try:
            return listed(bucket, query)
        finally:
            _LISTED.reset(marked)

    return noted
