"""Reads the local AWS's ledger of calls while it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read(path: Path) -> list[dict[str, Any]]:
    """The calls so far, the first first; one whose line is being written has no answer yet and is left out.

    A line is written at once, but a reader may see its beginning: POSIX has no promise for files that another process
    reads meanwhile. https://man7.org/linux/man-pages/man2/write.2.html
    """
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
