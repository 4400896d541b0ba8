"""The call ledger, with filters."""

from typing import Any

from local_aws.console import ledger_lines
from local_aws.console.html import Content, tag
from local_aws.console.ledger_lines import Position
from local_aws.console.parts import Cell, document, field, folded, long, moment, number, onward, search, state, table
from local_aws.console.request import ROWS, Asked, Page
from local_aws.console.sources import Sources
from local_aws.front.ledger import OK
from local_aws.host.services import SERVICES

_FILTERS = ("service", "operation", "resource", "caller", "outcome", "status", "only")
_OUTCOMES = ("", "errors", "denied", "faults")
_SERVICES = ("", *sorted(SERVICES | {"sagemaker-runtime"}))


def ledger(asked: Asked, sources: Sources) -> Page:
    """List the calls, the newest first."""
    wanted = {name: asked.get(name) for name in _FILTERS}

    def fits(call: dict[str, Any]) -> bool:
        return (
            wanted["service"] in ("", call.get("service"))
            and wanted["status"] in ("", str(call.get("status")))
            and all(
                wanted[name].lower() in str(call.get(name, "")).lower()
                for name in ("operation", "resource", "caller", "outcome")
            )
            and _is_of(call, wanted["only"])
        )

    before = Position.of(asked.get("before"))
    found = ledger_lines.read(sources.ledger_path, fits, ROWS, before)
    rows = [
        (
            moment(call.get("time")),
            call.get("service"),
            call.get("operation"),
            long(call.get("resource")),
            state(call.get("outcome")) if call.get("outcome") == OK else tag("span", call.get("outcome"), class_="bad"),
            number(call.get("status")),
            long(str(call.get("caller", "")).rpartition(":")[2]),
            number(call.get("milliseconds")),
            _more(number_, call),
        )
        for number_, call in enumerate(found.calls)
    ]
    heads = ("time (UTC)", "service", "operation", "resource", "outcome", "status", "caller", "ms", "more")
    newest = before and asked.link("Newest calls", "ledger", **wanted)
    going_on = "Older calls" if len(found.calls) == ROWS else "Search further back"
    older = found.next and asked.link(going_on, "ledger", **wanted, before=str(found.next))
    form = search(
        asked,
        "Calls",
        field("Service", "service", wanted["service"], _SERVICES),
        field("Only", "only", wanted["only"], _OUTCOMES),
        field("Operation contains", "operation", wanted["operation"]),
        field("Resource contains", "resource", wanted["resource"]),
        field("Caller contains", "caller", wanted["caller"]),
        field("Outcome contains", "outcome", wanted["outcome"]),
        field("HTTP status", "status", wanted["status"]),
    )
    return Page("Calls", (table("Calls, the newest first", heads, rows), onward(newest, older)), "ledger", form)


def _is_of(call: dict[str, Any], only: str) -> bool:
    if only == "errors":
        return call.get("outcome") != OK
    if only in ("denied", "faults"):
        return ("denied" if only == "denied" else "fault") in call
    return True


def _more(index: int, call: dict[str, Any]) -> Content | Cell:
    if denied := call.get("denied"):
        return Cell(folded(f"denied-{index}", "why denied", tag("p", document(denied))), "long")
    return f"fault {call['fault']}" if "fault" in call else ""
