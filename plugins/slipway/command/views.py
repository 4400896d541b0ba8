"""What several commands print of a release in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.command.output import Output


def show_failure(failure: Mapping[str, Any], output: Output, before: str = "") -> None:
    """Print why a task failed or was skipped, in the four parts that the release has kept."""
    verb = "was skipped" if failure["skipped"] else "failed"
    output.text(f"{before}{failure['task_id']} {verb}: {failure['what']}.", style="" if failure["skipped"] else "red")
    for label, part in (("Where", failure["where"]), ("Why", failure["why"]), ("Fix", failure["fix"])):
        for line in (part or "").splitlines():
            output.text(f"  {label + ':':7}{line.strip()}")


def show_figures(figures: list[Mapping[str, Any]], output: Output) -> None:
    """Print the figures of a release beside those of the live one."""
    rows = [
        [
            one["name"],
            one["new"],
            one.get("live") or "",
            one.get("gate") or "",
            {True: "ok", False: "failed", None: ""}[one.get("passed")],
        ]
        for one in figures
    ]
    if rows:
        output.table(["figure", "new", "live", "bound", ""], rows)
