"""S3's files: a call changes all of them or none, and uploads in parts outlive the process.

ministack answers 200 when a file cannot be written. Here a call's files are written under other names first, and get
their own with the transaction that changes the index.
"""

import logging
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from local_aws.framework.disk import UNAVAILABLE, UNAVAILABLE_STATUS, Disk, is_full
from local_aws.host.s3_index import S3Index
from local_aws.host.s3_lists import S3Lists
from local_aws.host.s3_recovery import recover
from local_aws.host.s3_uploads import Uploads
from local_aws.host.s3_versions import S3Versions, name_versions

_S3 = "ministack.services.s3"
PRIVATE_PARTS = {
    "ministack.core.responses": ("get_account_id",),
    _S3: (
        "_atomic_write",
        "_buckets",
        "_bucket_notifications",
        "_completed_multipart_uploads",
        "_delete_version_file",
        "_dispatch",
        "_error",
        "_fire_s3_event",
        "_fire_s3_event_async",
        "_multipart_uploads",
        "_next_event_sequencer",
        "_object_legal_hold",
        "_object_retention",
        "_remove_key_files",
        "_version_disk_path",
        "logger",
    ),
}

_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")
_DESCRIPTION = ".meta.json"
# ministack keeps these in memory only.
_IN_MEMORY = ("_object_legal_hold", "_object_retention")

_log = logging.getLogger(__name__)


class _Change:
    """The files that one call writes and removes, and the events that it tells of.

    :param folder: where files are until they get their names
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # By final path.
        self._written: dict[str, str] = {}
        self._removed: list[str] = []
        self.events: list[Callable[[], None]] = []
        self.failure: BaseException | None = None

    def write(self, path: str, data: bytes | str) -> None:
        partial = self._written.get(path) or str(self._folder / str(next(_NUMBERS)))
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

    def commit(self, index: S3Index) -> None:
        index.commit([(partial, path) for path, partial in self._written.items()], self._removed)

    def undo(self, index: S3Index) -> None:
        index.roll_back()
        for partial in self._written.values():
            Path(partial).unlink(missing_ok=True)


_NUMBERS = count(1)
_CHANGE: ContextVar[_Change | None] = ContextVar("local_aws.s3_change", default=None)


class S3Files:
    """ministack's S3 with files that are written as a whole.

    :param modules: ministack's modules by name
    :param disk: the disk they are on
    :param folder: the state folder
    """

    def __init__(self, modules: Mapping[str, Any], disk: Disk, folder: Path) -> None:
        self._s3 = modules[_S3]
        self._account_id = modules["ministack.core.responses"].get_account_id
        self._disk = disk
        self._dispatch = self._s3._dispatch
        self.index = S3Index(folder / "s3.sqlite", disk)
        self._partial = folder / "s3-partial"
        self._partial.mkdir(exist_ok=True)
        for partial in self._partial.iterdir():
            partial.unlink()
        S3Versions(modules, self.index, recover)
        S3Lists(modules, self.index)
        self._uploads = Uploads(folder / "uploads", self._s3._multipart_uploads, self._s3._completed_multipart_uploads)
        self._uploads.load()
        self._s3._dispatch = self._answered
        self._s3._atomic_write = _written(self._s3._atomic_write)
        self._s3._remove_key_files = _removed(self._s3._remove_key_files)
        self._s3._delete_version_file = self._version_removed(self._s3._delete_version_file)
        self._s3._fire_s3_event_async = self._event(self._s3._fire_s3_event_async)
        # ministack only logs what it cannot write or read.
        self._s3.logger.addFilter(_noted)

    def _answered(self, method: str, bucket: str, key: str, headers: Any, body: bytes, query: Any) -> Any:
        name_versions(headers, query)
        answer, failure = self._tried(method, bucket, key, headers, body, query)
        if isinstance(failure, sqlite3.Error) and is_full(failure):
            # The index needs a little space, also for a call that frees some.
            self._disk.release()
            answer, failure = self._tried(method, bucket, key, headers, body, query)
        if failure is None:
            return answer
        resource = f"/{bucket}/{key}" if key else f"/{bucket}"
        if is_full(failure):
            return self._s3._error(UNAVAILABLE, self._disk.why(), UNAVAILABLE_STATUS, resource)
        _log.error("S3 %s %s failed", method, resource, exc_info=failure)
        return self._s3._error("InternalError", "We encountered an internal error. Please try again.", 500, resource)

    def _tried(
        self, method: str, bucket: str, key: str, headers: Any, body: bytes, query: Any
    ) -> tuple[Any, BaseException | None]:
        """Perform a call; if it fails, nothing has changed."""
        change = _Change(self._partial)
        former = self._former(bucket, self._keys(key, body, query), query) if method not in ("GET", "HEAD") else []
        marked = _CHANGE.set(change)
        self.index.begin()
        try:
            answer = self._dispatch(method, bucket, key, headers, body, query)
            if change.failure is None:
                upload = _upload_id(method, query, answer[2])
                ended = self._uploads.keep(self._account_id(), upload, change.write) if upload else None
                change.commit(self.index)
                if ended:
                    ended()
                for tell in change.events:
                    tell()
                return answer, None
        except (OSError, sqlite3.Error) as error:
            change.failure = change.failure or error
        except BaseException:
            change.undo(self.index)
            raise
        finally:
            _CHANGE.reset(marked)
        change.undo(self.index)
        for restore in former:
            restore()
        return None, change.failure

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
            for version in (None, "null", _first(query.get("versionId"))):
                for store in _IN_MEMORY:
                    restores.append(_restoring(getattr(self._s3, store), (bucket, key, version)))
        if (upload := _first(query.get("uploadId"))) in self._s3._multipart_uploads:
            begun = self._s3._multipart_uploads[upload]
            restores.append(_restoring(self._s3._multipart_uploads, upload, {**begun, "parts": dict(begun["parts"])}))
            restores.append(_restoring(self._s3._completed_multipart_uploads, upload))
        return restores

    def _event(self, fire: Callable[..., None]) -> Callable[..., None]:
        """Pass on what happened once it is on disk and before the answer, which promises the message, too."""

        def fired(bucket: str, key: str, name: str, **more: Any) -> None:
            change = _CHANGE.get()
            if change is None:
                fire(bucket, key, name, **more)
            elif bucket in self._s3._bucket_notifications:
                sequencer = self._s3._next_event_sequencer(name)
                change.events.append(lambda: self._s3._fire_s3_event(bucket, key, name, sequencer=sequencer, **more))

        return fired

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
