"""What a sandbox has written, and the end of one that writes too much."""

from __future__ import annotations

import contextlib
import shutil
import stat
from pathlib import Path

from local_aws import trees
from local_aws.settings import DISK_RESERVE_BYTES

MAX_FILES = 300_000


def too_much(folder: Path, most_bytes: int) -> str:
    """Tell why a sandbox must not write more; empty while it may.

    :param folder: where it writes
    :param most_bytes: that it may have there
    """
    try:
        size, count = _usage(folder, most_bytes)
    except trees.TooDeep as error:
        return str(error)
    if size > most_bytes or count > MAX_FILES:
        return f"it has written more than {most_bytes} bytes or {MAX_FILES} files"
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < DISK_RESERVE_BYTES:
            return "No space left on device"
    return ""


def _usage(folder: Path, most_bytes: int) -> tuple[int, int]:
    """Return bytes and number of files; it stops counting where either is too much.

    What a sparse file pretends to have counts: whoever packs it reads all of that.

    :raises trees.TooDeep: a directory is too deep
    """
    size = count = 0
    for entry in trees.entries(folder):
        with contextlib.suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            apparent = status.st_size if stat.S_ISREG(status.st_mode) else 0
            size += max(status.st_blocks * 512, apparent)
        count += 1
        if size > most_bytes or count > MAX_FILES:
            break
    return size, count
