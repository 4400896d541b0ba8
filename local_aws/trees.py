"""Directory trees that somebody else has made: of any depth, and with anything in them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

# Programs that follow, such as tarfile, call themselves for each directory, and Linux takes paths of 4096 bytes.
MAX_DEPTH = 100
_MAX_PATH_BYTES = 3500


class TooDeep(Exception):
    """A directory is deeper than can be dealt with."""

    def __init__(self) -> None:
        super().__init__(f"it has made directories more than {MAX_DEPTH} deep, or a path of {_MAX_PATH_BYTES} bytes")


def entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield all that is in a directory and below it, in no order and without following links.

    What cannot be read, or has just been removed, is left out.

    :param folder: the directory
    :raises TooDeep: it has a directory that is too deep
    """
    waiting = [(str(folder), 0)]
    while waiting:
        place, depth = waiting.pop()
        if depth > MAX_DEPTH or len(os.fsencode(place)) > _MAX_PATH_BYTES:
            raise TooDeep
        with contextlib.suppress(OSError), os.scandir(place) as found:
            for entry in found:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, depth + 1))


def remove(folder: Path) -> None:
    """Delete a directory with all that is in it, if it is there; links are not followed.

    `shutil.rmtree` calls itself for each directory and keeps it open, so a deep tree would end it.

    :param folder: the directory
    """
    for words in (("rm", "-rf"), ("chmod", "-R", "u+rwx"), ("rm", "-rf")):
        if not os.path.lexists(folder):
            return
        subprocess.run([*words, "--", str(folder)], capture_output=True, check=False)
