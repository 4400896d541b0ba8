"""What a sandbox has written, and the end of one that writes too much."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from local_aws.settings import DISK_RESERVE_BYTES

MAX_FILES = 300_000


def too_much(folder: Path, most_bytes: int) -> str:
    """Tell why a sandbox must not write more; empty while it may.

    :param folder: where it writes
    :param most_bytes: that it may have there
    """
    size, count = _usage(folder, most_bytes)
    if size > most_bytes or count > MAX_FILES:
        return f"it has written more than {most_bytes} bytes or {MAX_FILES} files"
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < DISK_RESERVE_BYTES:
            return "No space left on device"
    return ""


def _usage(folder: Path, most_bytes: int) -> tuple[int, int]:
    """Return bytes on disk and number of files; it stops counting where either is too much."""
    size = count = 0
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(OSError):
                size += Path(place, name).lstat().st_blocks * 512
            count += 1
        if size > most_bytes or count > MAX_FILES:
            break
    return size, count
