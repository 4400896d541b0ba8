"""What a command prints: text for people, or one JSON document. Progress and questions go to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from slipway.command.errors import CommandError

# The colours of states, those of the board.
STYLES = {
    "done": "green",
    "success": "green",
    "ok": "green",
    "asking": "bold yellow",
    "decision": "bold yellow",
    "in line": "yellow",
    "retrying": "yellow",
    "skipped": "dim",
    "none": "dim",
    "running": "blue",
    "failed": "bold red",
    "upstream_failed": "red",
    "problem": "bold red",
    "unknown": "yellow",
}


class Output:
    """The output of one command.

    :param as_json: whether stdout gets one JSON document and nothing else
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        # Without a terminal nothing is cut off: a table gets the width that it needs.
        self._out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 10_000)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def interactive(self) -> bool:
        """Whether somebody can be asked."""
        return not self.as_json and sys.stdin.isatty() and sys.stderr.isatty()

    def text(self, text: str | Text = "", style: str | None = None) -> None:
        """Print a line for people; nothing with --json."""
        if not self.as_json:
            self._out.print(text, style=style, markup=False)

    def note(self, text: str, style: str | None = None) -> None:
        """Print a line about the command's progress, to stderr."""
        self.err.print(text, style=style, markup=False)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
        """Print a table for people; a cell that is a known state has its colour."""
        if self.as_json:
            return
        shown = Table(*columns, title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
        for row in rows:
            shown.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
        self._out.print(shown, soft_wrap=False)

    def json(self, document: Any) -> None:
        """Print the result as JSON; nothing without --json."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")

    def error(self, error: CommandError) -> None:
        """Print what failed, where, why and what to do."""
        if self.as_json:
            self.json(error.document())
            return
        self.err.print(Text(f"{error.what}.", style="bold red"))
        for label, text in (("Where", error.where), ("Why", error.why), ("Fix", error.fix)):
            # One problem of a zip is one line.
            for line in (text or "").splitlines():
                if line.strip():
                    self.err.print(Text.assemble((f"  {label + ':':7}", "bold"), line.strip()))


def moment(text: str | None) -> str:
    """Write a moment of an API in local time, to the minute; empty for none."""
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M")
