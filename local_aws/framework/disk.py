"""The disk of the state folder: a reserve for what is under way when it is full, and one error for all who write."""

import errno
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from local_aws.settings import DISK_RESERVE_BYTES

# Both services' common errors have it, and S3's: "Service is unable to handle request." SDKs try such calls again.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
UNAVAILABLE = "ServiceUnavailable"
UNAVAILABLE_STATUS = 503

# Beside the reserve, so that the reserve is not used up by many small calls.
_MARGIN_BYTES = 1024 * 1024
_MARGIN_FILES = 16
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOOK_AGAIN_SECONDS = 0.5

Result = TypeVar("Result")

# Whether the current task answers a request, whose caller can be told that the disk is full.
answering: ContextVar[bool] = ContextVar("local_aws.answering", default=False)

_log = logging.getLogger(__name__)


class DiskFull(Exception):
    """There is no space for a change, which has not been made durable."""


def is_full(error: BaseException) -> bool:
    """Tell whether an error says that the disk, or the user's share of it, is full."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in _FULL


class Disk:
    """The file system of the state folder.

    The file `reserve` occupies space from the start on. When the disk is full, calls that change something are refused
    before they are performed, and those that have begun get the reserve's space for what they still write.

    :param folder: the state folder
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reserve = folder / "reserve"
        self._lock = threading.Lock()
        self._held = False
        self._told = False
        # Set before the process ends: nobody waits for space then.
        self.closed = threading.Event()
        self._held = self._reserve.exists() and self._reserve.stat().st_size == DISK_RESERVE_BYTES
        self.has_room()

    def why(self) -> str:
        """Say what is wrong, for those whose call is refused."""
        return f"No space is left for {self._folder}: nothing can be changed until some is free."

    def has_room(self, length: int = 0) -> bool:
        """Tell whether a call that changes something may begin.

        :param length: how many bytes it brings
        """
        with self._lock:
            found = os.statvfs(self._folder)
            free = found.f_bavail * found.f_frsize
            wanted = _MARGIN_BYTES + (0 if self._held else DISK_RESERVE_BYTES)
            roomy = free >= wanted and not (found.f_files and found.f_favail < _MARGIN_FILES)
            roomy = roomy and (self._held or self._take())
            if roomy == self._told:
                self._told = not roomy
                if roomy:
                    _log.warning("There is space again for %s: calls that change something are answered", self._folder)
                else:
                    _log.error("%s Reading goes on; %s bytes are free.", self.why(), free)
            return roomy and free >= wanted + length

    def write(self, work: Callable[[], Result]) -> Result:
        """Do what writes a little, with the space of the reserve if there is no other.

        :param work: writes all or nothing, and may be called twice
        :returns: its result
        :raises DiskFull: there is no space
        """
        try:
            return work()
        except (OSError, sqlite3.Error) as error:
            if not is_full(error):
                raise
        self.release()
        try:
            return work()
        except (OSError, sqlite3.Error) as error:
            if not is_full(error):
                raise
            raise DiskFull(self.why()) from error

    def wait(self) -> bool:
        """Wait for space in a thread that works for nobody who could be told.

        :returns: False where nobody may wait: on the event loop, for a request, and while the process ends
        """
        if answering.get() or threading.current_thread() is threading.main_thread():
            return False
        while not self.closed.is_set():
            if self.has_room():
                return True
            time.sleep(_LOOK_AGAIN_SECONDS)
        return False

    def _take(self) -> bool:
        """Occupy the reserve's space."""
        try:
            with self._reserve.open("wb") as file:
                file.write(bytes(DISK_RESERVE_BYTES))
        except OSError:
            self._reserve.unlink(missing_ok=True)
            return False
        self._held = True
        return True

    def release(self) -> None:
        """Give the reserve's space to what has begun."""
        with self._lock:
            self._held = False
            self._reserve.unlink(missing_ok=True)
