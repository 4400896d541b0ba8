"""Read the local AWS's ledger of calls while it is being written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read(path: Path) -> list[dict[str, Any]]:
    """Return the calls so far, the oldest first, without a call whose line is still being written.

    A reader may see only the beginning of a line: POSIX does not make writes to a file atomic for other processes.
    https://man7.org/linux/man-pages/man2/write.2.html
    """
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
