"""S3's files: a call changes all of them or none, and uploads in parts outlive the process.

ministack writes an object's content, then a file beside it that describes it, and answers 200 when a file cannot be
written. Here a call's files are written under other names first and renamed at its end, the description last.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from local_aws.framework.disk import UNAVAILABLE, UNAVAILABLE_STATUS, Disk, is_full
from local_aws.host.s3_uploads import Uploads

_S3 = "ministack.services.s3"
PRIVATE_PARTS = {
    "ministack.core.responses": ("get_account_id",),
    _S3: (
        "_atomic_write",
        "_buckets",
        "_completed_multipart_uploads",
        "_delete_version_file",
        "_dispatch",
        "_error",
        "_multipart_uploads",
        "_object_acl",
        "_object_annotations",
        "_object_legal_hold",
        "_object_retention",
        "_object_tags",
        "_object_versions",
        "_remove_key_files",
        "_version_disk_path",
        "logger",
    ),
}

_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")
_PARTIAL = ".tmp"
_DESCRIPTION = ".meta.json"
_BY_VERSION = ("_object_acl", "_object_annotations", "_object_legal_hold", "_object_retention", "_object_tags")

_log = logging.getLogger(__name__)


def recover(folder: Path) -> None:
    """Finish or forget what a killed process was writing; call this before ministack reads the folder.

    :param folder: of S3's objects
    """
    for partial in list(folder.rglob(f"*{_DESCRIPTION}{_PARTIAL}")):
        described = partial.with_name(partial.name.removesuffix(_PARTIAL))
        content = partial.with_name(f"{partial.name.removesuffix(_DESCRIPTION + _PARTIAL)}{_PARTIAL}")
        # Once the content has its name, the description must follow.
        if content.exists() or not _is_whole(partial):
            partial.unlink()
        else:
            partial.replace(described)
    for partial in list(folder.rglob(f"*{_PARTIAL}")):
        if partial.is_file():
            partial.unlink()


def _is_whole(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except ValueError:
        return False
    return True


class _Change:
    """The files that one call writes and removes."""

    def __init__(self) -> None:
        # By final path, in the order in which they get their names.
        self._written: dict[str, str] = {}
        self._removed: list[str] = []
        self.failure: BaseException | None = None

    def write(self, path: str, data: bytes | str) -> None:
        partial = f"{path}{_PARTIAL}"
        self._written.pop(path, None)
        self._written[path] = partial
        if path in self._removed:
            self._removed.remove(path)
        try:
            file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(file, "wb") as stream:
                stream.write(data.encode() if isinstance(data, str) else data)
        except OSError as error:
            self.failure = error
            raise

    def remove(self, path: str) -> None:
        if partial := self._written.pop(path, None):
            Path(partial).unlink(missing_ok=True)
        self._removed.append(path)

    def commit(self) -> None:
        for path, partial in self._written.items():
            Path(partial).replace(path)
        for path in self._removed:
            # Another key's folder may have this name.
            if Path(path).is_file():
                Path(path).unlink()

    def undo(self) -> None:
        # Descriptions first: one without its content's partial file would be taken for complete.
        for partial in reversed(self._written.values()):
            Path(partial).unlink(missing_ok=True)


_CHANGE: ContextVar[_Change | None] = ContextVar("local_aws.s3_change", default=None)


class S3Files:
    """ministack's S3 with files that are written as a whole.

    :param modules: ministack's modules by name
    :param disk: the disk they are on
    :param uploads: the folder of uploads in parts
    """

    def __init__(self, modules: Mapping[str, Any], disk: Disk, uploads: Path) -> None:
        self._s3 = modules[_S3]
        self._account_id = modules["ministack.core.responses"].get_account_id
        self._disk = disk
        self._dispatch = self._s3._dispatch
        self._uploads = Uploads(uploads, self._s3._multipart_uploads, self._s3._completed_multipart_uploads)
        self._uploads.load()
        self._s3._dispatch = self._answered
        self._s3._atomic_write = _written(self._s3._atomic_write)
        self._s3._remove_key_files = _removed(self._s3._remove_key_files)
        self._s3._delete_version_file = self._version_removed(self._s3._delete_version_file)
        # ministack only logs what it cannot write or read.
        self._s3.logger.addFilter(_noted)

    def _answered(self, method: str, bucket: str, key: str, headers: Any, body: bytes, query: Any) -> Any:
        change = _Change()
        former = self._former(bucket, self._keys(key, body, query), query) if method not in ("GET", "HEAD") else []
        marked = _CHANGE.set(change)
        try:
            answer = self._dispatch(method, bucket, key, headers, body, query)
            if change.failure is None:
                upload = _upload_id(method, query, answer[2])
                ended = self._uploads.keep(self._account_id(), upload, change.write) if upload else None
                change.commit()
                if ended:
                    ended()
                return answer
        except OSError as error:
            change.failure = change.failure or error
        finally:
            _CHANGE.reset(marked)
        change.undo()
        for restore in former:
            restore()
        resource = f"/{bucket}/{key}" if key else f"/{bucket}"
        if change.failure is not None and is_full(change.failure):
            return self._s3._error(UNAVAILABLE, self._disk.why(), UNAVAILABLE_STATUS, resource)
        _log.error("S3 %s %s failed", method, resource, exc_info=change.failure)
        return self._s3._error("InternalError", "We encountered an internal error. Please try again.", 500, resource)

    def _keys(self, key: str, body: bytes, query: Any) -> list[str]:
        """Name the keys that a call may change."""
        if key or "delete" not in query:
            return [key] if key else []
        try:
            found = ET.fromstring(body).iter()  # noqa: S314 (the same that ministack reads)
        except ET.ParseError:
            return []
        return [one.text or "" for one in found if one.tag.rpartition("}")[2] == "Key"]

    def _former(self, bucket: str, keys: list[str], query: Any) -> list[Callable[[], None]]:
        """Return what restores the memory of what a call may change."""
        restores = [_restoring(self._s3._buckets, bucket)] if not keys else []
        kept = self._s3._buckets.get(bucket)
        for key in keys:
            if kept is not None:
                restores.append(_restoring(kept["objects"], key))
            versions = self._s3._object_versions.get((bucket, key)) or []
            restores.append(
                _restoring(self._s3._object_versions, (bucket, key), [dict(version) for version in versions] or None)
            )
            for version in (None, "null", *(one["version_id"] for one in versions)):
                for store in _BY_VERSION:
                    restores.append(_restoring(getattr(self._s3, store), (bucket, key, version)))
        if (upload := _first(query.get("uploadId"))) in self._s3._multipart_uploads:
            begun = self._s3._multipart_uploads[upload]
            restores.append(_restoring(self._s3._multipart_uploads, upload, {**begun, "parts": dict(begun["parts"])}))
            restores.append(_restoring(self._s3._completed_multipart_uploads, upload))
        return restores

    def _version_removed(self, remove: Callable[..., None]) -> Callable[..., None]:
        def removed(bucket: str, key: str, version: str) -> None:
            change = _CHANGE.get()
            if change is None:
                remove(bucket, key, version)
            elif path := self._s3._version_disk_path(bucket, key, version):
                change.remove(path)

        return removed


def _written(write: Callable[..., None]) -> Callable[..., None]:
    def written(path: str, data: bytes | str, *, text: bool = False) -> None:
        change = _CHANGE.get()
        if change is None:
            write(path, data, text=text)
        else:
            change.write(path, data)

    return written


def _removed(remove: Callable[[str | None], None]) -> Callable[[str | None], None]:
    def removed(path: str | None) -> None:
        change = _CHANGE.get()
        if change is None or path is None:
            remove(path)
        else:
            change.remove(path)
            change.remove(f"{path}{_DESCRIPTION}")

    return removed


def _noted(record: logging.LogRecord) -> bool:
    """Note what ministack could not write or read; a filter of its log."""
    change = _CHANGE.get()
    if change is not None and str(record.msg).startswith("Failed to "):
        change.failure = change.failure or sys.exc_info()[1]
    return True


def _upload_id(method: str, query: Any, body: bytes) -> str:
    """Name the upload in parts that a call has changed; empty for other calls."""
    if method == "POST" and "uploads" in query:
        found = _UPLOAD_ID.search(body)
        return found[1].decode() if found else ""
    return _first(query.get("uploadId")) if method not in ("GET", "HEAD") else ""


def _first(values: Any) -> str:
    return str(values[0] if isinstance(values, list) and values else values or "")


_MISSING: Any = object()


def _restoring(store: Any, key: Any, value: Any = _MISSING) -> Callable[[], None]:
    """Return what brings back an entry of a dictionary as it is now.

    :param value: instead of what is there now; None for no entry
    """
    former = store.get(key) if value is _MISSING else value

    def restore() -> None:
        if former is None:
            store.pop(key, None)
        else:
            store[key] = former

    return restore
