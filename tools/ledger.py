"""Read the local AWS's ledger of calls while it is being written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def read(path: Path) -> list[dict[str, Any]]:
    """Return the calls so far, the oldest first, without a call whose line is still being written.

    The ledger's full files come first. They are looked for while its newest one is open, which may become full.

    A reader may see only the beginning of a line: POSIX does not make writes to a file atomic for other processes.
    https://man7.org/linux/man-pages/man2/write.2.html

    :param path: of the newest file, such as ``ledger.jsonl``; the full ones beside it are ``ledger.1.jsonl`` …
    """
    with path.open(encoding="utf-8") as newest:
        opened = os.fstat(newest.fileno())
        full = []
        for _, other in sorted(_numbered(path)):
            try:
                with other.open(encoding="utf-8") as stream:
                    if os.path.samestat(os.fstat(stream.fileno()), opened):
                        # The open one has become full; those after it are newer.
                        break
                    full.append(stream.read())
            except FileNotFoundError:
                # The oldest is removed at any time.
                continue
        text = newest.read()
    return [json.loads(line) for part in (*full, text) for line in part[: part.rfind("\n") + 1].splitlines()]


def _numbered(path: Path) -> list[tuple[int, Path]]:
    found = []
    for other in path.parent.glob(f"{path.stem}.*{path.suffix}"):
        number = other.name[len(path.stem) + 1 : -len(path.suffix)]
        if number.isdecimal():
            found.append((int(number), other))
    return found
