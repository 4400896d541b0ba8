"""What pages consist of: tables, lists of facts, states, times, forms."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from local_aws.console.html import Content, Markup, joined, tag
from local_aws.console.request import Asked

_GOOD = frozenset({"Active", "Approved", "Completed", "InService", "OK", "SUCCEEDED", "Successful", "ok"})
_BAD = frozenset({"ALARM", "FAILED", "FAULT", "Failed", "OutOfService", "Rejected", "TIMED_OUT", "denied"})
_BUSY = frozenset({"Creating", "Deleting", "InProgress", "PendingManualApproval", "Stopping", "Updating"})
_BUSY_TOO = frozenset({"Downloading", "Pending", "RollingBack", "Starting", "SystemUpdating", "Training", "Uploading"})
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


class Cell(NamedTuple):
    """A table's cell.

    :param kind: its class: ``number`` or ``long``
    """

    content: Content
    kind: str


Cells = Sequence[Content | Cell]


def number(value: float | None) -> Cell:
    """Return a cell with a number."""
    return Cell("" if value is None else plain(value), "number")


def plain(value: float) -> str:
    """Write a number for people."""
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}" if abs(value) < 1e15 else f"{value:g}"
    return f"{value:,.6g}"


def size(value: int | None) -> Cell:
    """Return a cell with a number of bytes."""
    if value is None:
        return Cell("", "number")
    amount, unit = float(value), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return Cell(f"{amount:,.3g} {_UNITS[unit]}" if unit else f"{value} byte{'' if value == 1 else 's'}", "number")


def long(value: object) -> Cell:
    """Return a cell with a text that may be long."""
    return Cell(str(value) if value else "", "long")


def table(caption: str, headings: Sequence[str], rows: Iterable[Cells], nothing: str = "There are none.") -> Markup:
    """Return a table, which may be wider than the window.

    :param caption: what it shows; unique on its page
    :param headings: of the columns; the first one's cells head the rows
    :param rows: the cells
    :param nothing: what to say when there are no rows
    """
    listed = [[cell if isinstance(cell, Cell) else Cell(cell, "") for cell in row] for row in rows]
    if not listed:
        return tag("p", f"{caption}: ", nothing[0].lower() + nothing[1:], class_="nothing")
    name = slug(caption)
    # A column of numbers may have gaps.
    numbers = {index for row in listed for index, cell in enumerate(row) if cell.kind == "number"}
    heads = [
        tag("th", heading, scope="col", class_="number" if index in numbers else None)
        for index, heading in enumerate(headings)
    ]
    written = [_row(row) for row in listed]
    made = tag(
        "table", tag("caption", caption, id=f"{name}-caption"), tag("thead", tag("tr", heads)), tag("tbody", written)
    )
    return tag("div", made, class_="wide", id=name, role="region", tabindex="0", aria_labelledby=f"{name}-caption")


def _row(cells: Sequence[Cell]) -> Markup:
    first = tag("th", cells[0].content, scope="row", class_=cells[0].kind or None)
    return tag("tr", first, [tag("td", cell.content, class_=cell.kind or None) for cell in cells[1:]])


def facts(pairs: Iterable[tuple[str, Content]]) -> Markup:
    """Return a list of names and values; empty values are left out."""
    shown = [(tag("dt", name), tag("dd", value)) for name, value in pairs if value not in (None, "")]
    return tag("dl", shown) if shown else Markup()


def section(heading: str, *content: Content) -> Markup:
    """Return a section with a heading."""
    # Without a name of its own: the tables in it are the landmarks.
    return tag("section", tag("h2", heading), *content)


def state(value: str | None) -> Markup:
    """Return a state, coloured by what it means."""
    return tag("span", value or "unknown", class_=f"state {_meaning(str(value))}")


def _meaning(value: str) -> str:
    if value in _BUSY | _BUSY_TOO or value.endswith("IN_PROGRESS"):
        return "busy"
    if value in _BAD or value == "UpdateRollbackFailed" or value.endswith("_FAILED") or "ROLLBACK" in value:
        return "bad"
    return "good" if value in _GOOD or value.endswith("_COMPLETE") else "idle"


def moment(value: Any) -> Content:
    """Return a time.

    :param value: epoch seconds, or an ISO text; None for no time
    """
    if not value:
        return ""
    if isinstance(value, int | float):
        at = datetime.fromtimestamp(value, UTC)
        return tag("time", at.strftime("%Y-%m-%d %H:%M:%S"), datetime=at.isoformat(timespec="milliseconds"))
    written = str(value)
    return tag("time", written[:19].replace("T", " "), datetime=written)


def document(value: Any) -> Markup:
    """Return a JSON value as it is written."""
    return tag("code", value if isinstance(value, str) else json.dumps(value, sort_keys=True))


def folded(name: str, summary: str, *content: Content) -> Markup:
    """Return what is shown on demand.

    :param name: its id, unique on the page
    """
    return tag("details", tag("summary", summary), *content, id=name)


def cut(value: str, most: int) -> str:
    """Return a text without what is beyond a number of characters."""
    return value if len(value) <= most else f"{value[:most]} … ({len(value) - most:,} more characters)"


def pairs(caption: str, values: Mapping[str, Any], heading: str = "name") -> Markup:
    """Return a table of names and values."""
    return table(caption, (heading, "value"), ((name, long(_shown(value))) for name, value in sorted(values.items())))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def field(label: str, name: str, value: str, choices: Sequence[str] = ()) -> Markup:
    """Return a form's field with its label.

    :param choices: for a list to choose from; the first means any
    """
    if not choices:
        made = tag("input", id=f"field-{name}", name=name, value=value, type="text")
    else:
        listed = [tag("option", one or "any", value=one, selected=one == value) for one in choices]
        made = tag("select", listed, id=f"field-{name}", name=name)
    return tag("div", tag("label", label, for_=f"field-{name}"), made)


def search(asked: Asked, label: str, *fields: Content) -> Markup:
    """Return the form that asks for the same page with other parameters."""
    kept = [
        tag("input", type="hidden", name=name, value=asked.get(name))
        for name in ("account", "region")
        if asked.get(name)
    ]
    return tag("form", *fields, kept, tag("button", "Show"), method="get", role="search", aria_label=label)


def onward(*links: Content) -> Markup:
    """Return the links to other pages of a list."""
    return tag("p", [joined((link, " ")) for link in links if link])


def slug(value: str) -> str:
    """Make an id of a text."""
    return re.sub("[^a-z0-9]+", "-", value.lower()).strip("-")
