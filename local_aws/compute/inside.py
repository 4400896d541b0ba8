"""Reads what a container has written, which may have put links there that lead elsewhere on this machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from local_aws.compute.base import ContainerFailed


def open_inside(path: Path, folder: Path) -> BinaryIO | None:
    """Open a file to read it.

    :param path: of the file, which the container may replace meanwhile
    :param folder: that the file must really be in
    :returns: the file; None if it is not there, no regular file, or elsewhere
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    if regular and _really_at(descriptor, path).is_relative_to(folder.resolve()):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    return None


def _really_at(descriptor: int, path: Path) -> Path:
    """Return where an open file is, whatever its path means by now; without /proc, what the path means."""
    link = Path(f"/proc/self/fd/{descriptor}")
    return link.readlink() if link.exists() else path.resolve()


def own_folder(folder: Path, *names: str) -> Path:
    """Return a directory below another, once the container has ended.

    :param folder: the directory that the container had
    :param names: of the directories below it
    :raises ContainerFailed: the container has put something else there
    """
    for name in names:
        folder /= name
        if folder.is_symlink() or not folder.is_dir():
            raise ContainerFailed(f"AlgorithmError: /opt/ml/{'/'.join(names)} is not a directory any more")
    return folder
