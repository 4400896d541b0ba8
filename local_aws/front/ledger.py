"""The call ledger: one line of JSON for every AWS call, written before its answer is sent."""

import json
import logging
import os
import re
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from local_aws.framework.disk import Disk, DiskFull

OK = "ok"
# The outcome of a call whose connection was closed on purpose instead of performing it.
DROPPED = "dropped"
# A file that is longer is kept under the next number, and the oldest of more files than these is removed.
_MAX_BYTES = 64 * 1024 * 1024
_KEPT_FILES = 4
# Of calls that changed nothing, while the disk is full.
_MAX_WAITING = 10_000
# S3's keys have at most 1,024 bytes, and only they, names and ARNs are written.
_MAX_LINE_BYTES = 64 * 1024
_XML_CODE = re.compile(rb"<Code>([^<]+)</Code>")

_log = logging.getLogger(__name__)


class Call(NamedTuple):
    """One AWS call and how it ended.

    :param service: as the gateway routes it, such as ``s3`` or ``sagemaker``
    :param operation: such as ``CreateTrainingJob``
    :param resource: what it was about: bucket/key, stack, job, endpoint …
    :param outcome: ``ok`` or AWS's error code
    :param status: of HTTP; 0 where nothing was answered
    :param caller: access key; ``anonymous``; the ARN or service that acts for someone
    :param region: an AWS region name
    :param request_id: the answer's request id
    :param fault: id of the injected fault the call met; the member is written only then
    :param milliseconds: from its arrival until its answer was made; written for calls that came from outside
    :param denied: what IAM refused, and the statement that would allow it; written only then
    :param iam: each action that IAM was asked about, with who, on what, and the statement that decided
    """

    service: str
    operation: str
    resource: str
    outcome: str
    status: int
    caller: str
    region: str
    request_id: str
    fault: str | None = None
    milliseconds: float | None = None
    denied: dict[str, Any] | None = None
    iam: list[dict[str, Any]] | None = None


class Ledger:
    """An append-only file; every line but the last is complete at any time.

    :param path: the file; created when missing. Full ones are beside it, as ``ledger.1.jsonl``, the oldest first
    :param disk: the disk it is on
    :param max_bytes: of one file
    """

    def __init__(self, path: Path, disk: Disk, max_bytes: int = _MAX_BYTES) -> None:
        self._path = path
        self._disk = disk
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        for full in numbered(path).values():
            if path.exists() and full.samefile(path):
                # The former process was killed while it began another file.
                full.unlink()
        self._file = self._opened()

    def record(self, call: Call, *, promised: bool = False) -> None:
        """Write one call. The line outlives the process once this returns, but for a full disk.

        :param call: a call whose outcome is known
        :param promised: whether its answer must not leave without the line; the others' lines wait for space
        :raises DiskFull: a promised line cannot be written
        """
        line: dict[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        # Only the last members may be None.
        line.update((name, value) for name, value in zip(call._fields, call, strict=True) if value is not None)
        encoded = (json.dumps(line) + "\n").encode()
        with self._lock:
            try:
                self._disk.write(lambda: self._append(b"".join([*self._waiting, encoded])))
                self._waiting.clear()
            except DiskFull:
                if promised:
                    raise
                if len(self._waiting) < _MAX_WAITING:
                    self._waiting.append(encoded)
                    return
                _log.error("The ledger misses the last %s calls that changed nothing: the disk is full", _MAX_WAITING)
                self._waiting = [encoded]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _opened(self) -> int:
        """Open the file, and cut off the line that a killed process was writing."""
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._size = os.fstat(file).st_size
        tail = os.pread(file, _MAX_LINE_BYTES, max(0, self._size - _MAX_LINE_BYTES))
        if tail and not tail.endswith(b"\n"):
            self._size -= len(tail) - (tail.rfind(b"\n") + 1)
            os.ftruncate(file, self._size)
        return file

    def _append(self, lines: bytes) -> None:
        """Write all or nothing."""
        if self._size and self._size + len(lines) > self._max_bytes:
            self._rotate()
        try:
            written = 0
            while written < len(lines):
                # A disk that becomes full takes a part first.
                written += os.write(self._file, lines[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(lines)

    def _rotate(self) -> None:
        """Keep the file under the next number, and begin another; a reader finds one under its name at any time."""
        kept = numbered(self._path)
        full = self._path.with_suffix(f".{max(kept, default=0) + 1}{self._path.suffix}")
        new = self._path.with_suffix(".new")
        try:
            os.link(self._path, full)
            file = os.open(new, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError:
            full.unlink(missing_ok=True)
            raise
        new.replace(self._path)
        os.close(self._file)
        self._file, self._size = file, 0
        for old in sorted(kept)[: max(0, len(kept) + 1 - _KEPT_FILES)]:
            kept[old].unlink()


def numbered(path: Path) -> dict[int, Path]:
    """Return the full files beside a ledger, by their number."""
    found = {}
    for other in path.parent.glob(f"{path.stem}.*{path.suffix}"):
        number = other.name[len(path.stem) + 1 : -len(path.suffix)]
        if number.isdecimal():
            found[int(number)] = other
    return found


def milliseconds_since(began: float) -> float:
    """Return how long a call has taken so far.

    :param began: when it began, by ``time.perf_counter``
    """
    return round((time.perf_counter() - began) * 1000, 1)


def outcome(status: int, headers: dict[str, str], body: bytes) -> str:
    """Name the outcome of a call.

    :param status: of HTTP
    :param headers: the answer's, names in lower case
    :param body: the answer's first part
    :returns: ``ok``, the error code in the answer, or the status when it has none, as in answers to HEAD
    """
    if status < 400:
        return OK
    if "x-amzn-errortype" in headers:
        return headers["x-amzn-errortype"].partition(":")[0]
    if match := _XML_CODE.search(body):
        return match[1].decode()
    try:
        answer = json.loads(body)
    except ValueError:
        return str(status)
    code = answer.get("__type") or answer.get("code") if isinstance(answer, dict) else None
    return str(code).rpartition("#")[2] if code else str(status)
