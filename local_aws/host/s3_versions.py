"""ministack's S3 with an index: the versions of a key are looked up and not held in memory.

ministack keeps a list of all versions of each key, walks it at each write, and writes it beside the key's content.
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from local_aws.host.current_objects import Buckets
from local_aws.host.s3_index import Holder, Record, S3Index

PRIVATE_PARTS = {
    "ministack.core.responses": ("get_account_id", "new_uuid", "now_iso"),
    "ministack.services.s3": (
        "DATA_DIR",
        "S3_PERSIST",
        "_atomic_write",
        "_bucket_has_versions",
        "_bucket_versioning",
        "_buckets",
        "_delete_object_version",
        "_delete_persisted_object",
        "_delete_version_file",
        "_load_persisted_data",
        "_object_acl",
        "_object_annotations",
        "_object_disk_path",
        "_object_legal_hold",
        "_object_record_from_version",
        "_object_retention",
        "_object_tags",
        "_object_versions",
        "_other_key_disk_path",
        "_persist_delete_marker",
        "_persist_displaced_version",
        "_persist_object",
        "_persist_version_state",
        "_purge_current_object",
        "_read_body",
        "_record_delete_marker",
        "_record_object_version",
        "_remove_key_files",
        "_version_body",
        "_version_entry_from_record",
        "_version_disk_path",
    ),
}
# ministack's dictionaries by version that it keeps.
NOTES = {"_object_acl": "acl", "_object_annotations": "annotations", "_object_tags": "tags"}
_MADE = "made"
_NULL = "null"

# The versions that the call names: ministack looks for no others in a key's list.
_NAMED: ContextVar[tuple[str, ...] | None] = ContextVar("local_aws.s3_named_versions", default=None)


def name_versions(headers: Mapping[str, str], query: Any) -> None:
    """Note which versions the current call names."""
    of_source = parse_qs(headers.get("x-amz-copy-source", "").partition("?")[2]).get("versionId", [])
    asked = query.get("versionId") or []
    _NAMED.set((*([asked] if isinstance(asked, str) else asked), *of_source, _NULL))


class S3Versions:
    """ministack's S3 with its index.

    :param modules: ministack's modules by name
    :param index: what S3 knows
    :param recover: finishes what a killed process of an earlier version was writing
    """

    def __init__(self, modules: Mapping[str, Any], index: S3Index, recover: Callable[[Path], None]) -> None:
        self._s3 = s3 = modules["ministack.services.s3"]
        self._responses = modules["ministack.core.responses"]
        self._index = index
        s3.S3_PERSIST = True
        if not index.knows(_MADE):
            recover(Path(s3.DATA_DIR))
            self._take_over()
        known, s3._buckets._data = s3._buckets._data, Buckets(index)
        for holder, bucket in known.items():
            s3._buckets._data[holder] = bucket
        for holder in index.holders():
            s3._buckets._data.setdefault(holder, {"created": self._responses.now_iso(), "region": None})
        s3._object_versions = _Versions(index, self._responses.get_account_id)
        for name, kind in NOTES.items():
            setattr(s3, name, _Notes(index, kind, self._responses.get_account_id))
        s3._record_object_version = self._record
        s3._record_delete_marker = self._mark_deleted
        s3._delete_object_version = self._delete
        s3._bucket_has_versions = lambda bucket: index.has_versions(self._holder(bucket))
        s3._persist_object = self._keep
        s3._persist_delete_marker = lambda bucket, key, _: index.remove_object(self._holder(bucket), key)
        s3._delete_persisted_object = self._forget(s3._delete_persisted_object)

    def _holder(self, bucket: str) -> Holder:
        return self._responses.get_account_id(), bucket

    def _take_over(self) -> None:
        """Let the index know what an earlier version wrote beside the objects."""
        s3, index = self._s3, self._index
        s3._load_persisted_data()
        index.begin()
        for holder, bucket in s3._buckets._data.items():
            for key, record in bucket["objects"].items():
                index.put_object(holder, key, {**record, "body": None})
        for (account, (bucket, key)), versions in s3._object_versions._data.items():
            for version in versions:
                index.add_version((account, bucket), key, version)
        for name, kind in NOTES.items():
            for (account, (bucket, key, version)), value in getattr(s3, name)._data.items():
                index.put_note(kind, (account, bucket), key, version, value)
        index.learn(_MADE)
        index.commit([], [])

    # --- what ministack does with versions ----------------------------------------------------------------------------

    def _record(self, bucket: str, key: str, prior: Record | None, record: Record, data: Any) -> str | None:
        """Keep a write as a version, and return the id that the answer tells."""
        s3, holder = self._s3, self._holder(bucket)
        versioning = s3._bucket_versioning.get(bucket)
        if versioning != "Enabled":
            self._forget_notes(bucket, key)
        if versioning not in ("Enabled", "Suspended"):
            return None
        s3._persist_displaced_version(bucket, key, prior, versioning)
        if versioning == "Enabled":
            self._keep_null_version(holder, key, prior)
            record["version_id"] = self._responses.new_uuid()
        else:
            self._index.remove_version(holder, key, _NULL)
        version = record["version_id"] if versioning == "Enabled" else _NULL
        self._index.add_version(holder, key, s3._version_entry_from_record(record, version, None))
        return version if versioning == "Enabled" else None

    def _mark_deleted(self, bucket: str, key: str, prior: Record | None) -> str:
        """Add a delete marker, and return its id."""
        s3, holder = self._s3, self._holder(bucket)
        enabled = s3._bucket_versioning.get(bucket) == "Enabled"
        s3._persist_displaced_version(bucket, key, prior, "Enabled" if enabled else "Suspended")
        if enabled:
            self._keep_null_version(holder, key, prior)
        else:
            self._index.remove_version(holder, key, _NULL)
            self._forget_notes(bucket, key)
        version: str = self._responses.new_uuid() if enabled else _NULL
        now = self._responses.now_iso()
        marker = {"version_id": version, "last_modified": now, "etag": "", "size": 0, "is_delete_marker": True}
        self._index.add_version(holder, key, marker)
        self._index.remove_object(holder, key)
        return version

    def _forget_notes(self, bucket: str, key: str) -> None:
        """Forget the tags and the like of the object without a version that goes: a new object has none of them.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
        """
        for name in NOTES:
            getattr(self._s3, name).pop((bucket, key, None), None)

    def _keep_null_version(self, holder: Holder, key: str, prior: Record | None) -> None:
        """Keep the object of before versioning as the version null."""
        if prior is None or prior.get("version_id") or self._index.version(holder, key, _NULL):
            return
        self._index.add_version(holder, key, self._s3._version_entry_from_record(prior, _NULL, None))

    def _delete(self, held: Record, bucket: str, key: str, version: str) -> tuple[bool, bool]:
        """Remove one version; return whether it was there, and whether it was a delete marker."""
        s3, index, holder = self._s3, self._index, self._holder(bucket)
        found = index.version(holder, key, version)
        if found is None:
            if version == _NULL and key in held["objects"] and not held["objects"][key].get("version_id"):
                s3._purge_current_object(bucket, key, held)
                return True, False
            return False, False
        newest = index.newest(holder, key, 2)
        index.remove_version(holder, key, version)
        s3._delete_version_file(bucket, key, version)
        for name in (*NOTES, "_object_legal_hold", "_object_retention"):
            getattr(s3, name).pop((bucket, key, None if version == _NULL else version), None)
            getattr(s3, name).pop((bucket, key, version), None)
        marker = bool(found.get("is_delete_marker"))
        if newest[0]["version_id"] != version:
            return True, marker
        if len(newest) == 1:
            s3._purge_current_object(bucket, key, held)
        elif newest[1].get("is_delete_marker"):
            held["objects"].pop(key, None)
            s3._persist_version_state(bucket, key, held)
        else:
            record = s3._object_record_from_version(newest[1])
            record["body"] = s3._version_body(held, bucket, key, newest[1])
            held["objects"][key] = record
            s3._persist_version_state(bucket, key, held)
        return True, marker

    # --- what ministack writes ----------------------------------------------------------------------------------------

    def _keep(self, bucket: str, key: str, record: Record) -> None:
        """Write an object's content, and what is known of it into the index."""
        s3 = self._s3
        path = s3._object_disk_path(bucket, key)
        if record.get("body") is not None:
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            s3._atomic_write(path, record["body"])
            record["body"] = None
        folder = Path(s3.DATA_DIR, *self._holder(bucket))
        s3._remove_key_files(s3._other_key_disk_path(str(folder), key, path))
        self._index.put_object(self._holder(bucket), key, record)

    def _forget(self, delete: Callable[[str, str], None]) -> Callable[[str, str], None]:
        def deleted(bucket: str, key: str) -> None:
            delete(bucket, key)
            self._index.remove_object(self._holder(bucket), key)

        return deleted


class _OfKey:
    """The versions of a key, the oldest first; in a call only those that it names."""

    def __init__(self, index: S3Index, holder: Holder, key: str) -> None:
        self._index, self._of = index, (holder, key)

    def __iter__(self) -> Iterator[Record]:
        named = _NAMED.get()
        if named is None:
            yield from reversed(self._index.newest(*self._of, count=-1))
            return
        for version in dict.fromkeys(named):
            if found := self._index.version(*self._of, version):
                yield found

    def __getitem__(self, place: int) -> Record:
        assert place == -1  # noqa: S101 (ministack asks for the newest only)
        return self._index.newest(*self._of, count=1)[0]

    def __bool__(self) -> bool:
        return bool(self._index.newest(*self._of, count=1))


class _Versions:
    """ministack's versions by bucket and key."""

    def __init__(self, index: S3Index, account_id: Callable[[], str]) -> None:
        self._index, self._account_id = index, account_id

    def get(self, name: tuple[str, str], default: Any = None) -> Any:
        found = _OfKey(self._index, (self._account_id(), name[0]), name[1])
        return found or default


class _Notes:
    """What ministack notes of versions, by bucket, key and version."""

    def __init__(self, index: S3Index, kind: str, account_id: Callable[[], str]) -> None:
        self._index, self._kind, self._account_id = index, kind, account_id

    def get_scoped(self, account: str, region: Any, name: tuple[str, str, str | None], default: Any = None) -> Any:
        bucket, key, version = name
        found = self._index.note(self._kind, (account, bucket), key, version)
        return default if found is None else found

    def get(self, name: tuple[str, str, str | None], default: Any = None) -> Any:
        return self.get_scoped(self._account_id(), None, name, default)

    def __setitem__(self, name: tuple[str, str, str | None], value: Any) -> None:
        bucket, key, version = name
        self._index.put_note(self._kind, (self._account_id(), bucket), key, version, value)

    def __delitem__(self, name: tuple[str, str, str | None]) -> None:
        self[name] = None

    def pop(self, name: tuple[str, str, str | None], default: Any = None) -> Any:
        found = self.get(name, default)
        if found is not default:
            self[name] = None
        return found

    def __iter__(self) -> Iterator[tuple[str, str, str | None]]:
        return iter(self._index.noted(self._kind, self._account_id()))
