"""Read the local AWS's ledger of calls while it is being written."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

# Enough to tell two ledgers apart: a line begins with its time.
_HEAD_BYTES = 200


@dataclass
class _File:
    """What is known of a file: its first bytes, the end of what was read, and the calls up to there."""

    head: bytes = b""
    end: int = 0
    calls: list[dict[str, Any]] = field(default_factory=list)


class Ledger:
    """A ledger whose reader looks often: each line is parsed once."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet.

        :param path: of the newest file, such as ``ledger.jsonl``; the full ones beside it are ``ledger.1.jsonl`` …
        """
        self._path = path
        self._known: dict[int, _File] = {}

    def calls(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return the calls so far, the oldest first, without a call whose line is still being written.

        The ledger's full files come first. They are looked for while its newest one is open, which may become full.

        A reader may see only the beginning of a line: POSIX does not make writes to a file atomic for other processes.
        https://man7.org/linux/man-pages/man2/write.2.html

        :param wanted: only calls whose members are as given
        """
        seen: dict[int, _File] = {}
        with self._path.open("rb") as newest:
            opened = os.fstat(newest.fileno())
            for _, other in sorted(_numbered(self._path)):
                try:
                    with other.open("rb") as stream:
                        if os.path.samestat(os.fstat(stream.fileno()), opened):
                            # The open one has become full; those after it are newer.
                            break
                        self._read(stream, seen)
                except FileNotFoundError:
                    # The oldest is removed at any time.
                    continue
            self._read(newest, seen)
        self._known = seen
        calls = (call for file in seen.values() for call in file.calls)
        return [dict(call) for call in calls if all(call[name] == value for name, value in wanted.items())]

    def _read(self, stream: BinaryIO, seen: dict[int, _File]) -> None:
        """Parse what has come to a file, or all of it if another file has its number now."""
        state = os.fstat(stream.fileno())
        file = self._known.get(state.st_ino, _File())
        if state.st_size < file.end or stream.read(len(file.head)) != file.head:
            file = _File()
        stream.seek(file.end)
        text = stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        file.calls += [json.loads(line) for line in whole.splitlines()]
        file.end += len(whole)
        file.head = file.head or whole[:_HEAD_BYTES]
        seen[state.st_ino] = file


def read(path: Path) -> list[dict[str, Any]]:
    """Return the calls of a ledger so far, the oldest first.

    :param path: of the newest file
    """
    return Ledger(path).calls()


def _numbered(path: Path) -> list[tuple[int, Path]]:
    found = []
    for other in path.parent.glob(f"{path.stem}.*{path.suffix}"):
        number = other.name[len(path.stem) + 1 : -len(path.suffix)]
        if number.isdecimal():
            found.append((int(number), other))
    return found
