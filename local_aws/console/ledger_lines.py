"""Reads the call ledger from its end, a part at a time."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from local_aws.front.ledger import numbered

_CHUNK_BYTES = 256 * 1024
# A page reads no more; it then says where it stopped.
_MOST_BYTES = 16 * 1024 * 1024

Call = dict[str, Any]


class Position(NamedTuple):
    """A place in the ledger, which stays the same when a full file gets another name.

    :param file: the inode of the file
    :param offset: the calls before it are older
    """

    file: int
    offset: int

    @classmethod
    def of(cls, written: str) -> "Position | None":
        """Read a position from an address; None for anything else."""
        file, _, offset = written.partition("-")
        if file.isascii() and file.isdecimal() and offset.isascii() and offset.isdecimal() and len(written) < 40:
            return cls(int(file), int(offset))
        return None

    def __str__(self) -> str:
        return f"{self.file}-{self.offset}"


@dataclass(frozen=True)
class Calls:
    """A part of the ledger.

    :param calls: the newest first
    :param next: where to go on; None at the beginning of the ledger
    """

    calls: list[Call]
    next: Position | None


def read(
    path: Path,
    wanted: Callable[[Call], bool],
    count: int,
    before: Position | None,
    *,
    most_bytes: int = _MOST_BYTES,
) -> Calls:
    """Read the newest calls.

    :param path: of the ledger
    :param wanted: which calls
    :param count: at most so many
    :param before: where the part before ended
    :param most_bytes: to read
    """
    found: list[Call] = []
    read_bytes = 0
    for position, line in _backwards(path, before):
        read_bytes += len(line)
        try:
            call = json.loads(line)
        except ValueError:
            continue
        if isinstance(call, dict) and wanted(call):
            found.append(call)
        if len(found) == count or read_bytes > most_bytes:
            return Calls(found, position)
    return Calls(found, None)


def _backwards(path: Path, before: Position | None) -> Iterator[tuple[Position, bytes]]:
    """Give the lines from the newest to the oldest, each with its place."""
    kept = numbered(path)
    skipping = before is not None
    for one in (path, *(kept[number] for number in sorted(kept, reverse=True))):
        try:
            file = os.open(one, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            inode, end = os.fstat(file).st_ino, os.fstat(file).st_size
            if before is not None and skipping:
                if inode != before.file:
                    continue
                skipping, end = False, min(end, before.offset)
            for offset, line in _lines(file, end):
                yield Position(inode, offset), line
        finally:
            os.close(file)


def _lines(file: int, end: int) -> Iterator[tuple[int, bytes]]:
    rest = b""
    while end > 0:
        start = max(0, end - _CHUNK_BYTES)
        chunk = os.pread(file, end - start, start) + rest
        first = 0 if start == 0 else chunk.find(b"\n") + 1
        # Without a newline the whole chunk is the middle of one long line.
        if start and not first:
            rest, end = chunk, start
            continue
        place = len(chunk)
        for line in reversed(chunk[first:].splitlines(keepends=True)):
            place -= len(line)
            if line.endswith(b"\n"):
                yield start + place, line
        rest, end = chunk[:first], start
