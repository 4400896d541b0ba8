"""Write the page of a stress test: HTML that loads nothing from elsewhere; every text in it is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.load.phases import phase_name, phase_names
from slipway.load_report import aws_plots, plots
from slipway.load_report.svg import clean
from slipway.load_report.timeline import Timeline, timeline

_FOLDER = Path(__file__).parent
# Rows of a table; further rows are only counted. The machine-readable report has all of them.
_MAX_ROWS = 100
_NONE = "-"


@dataclass(frozen=True)
class Figure:
    """A plot of the page.

    :param title: the heading
    :param note: how to read the plot
    :param svg: None where there is nothing to show
    :param nothing: the text shown then
    """

    title: str
    note: str
    svg: str | None
    nothing: str


def render(document: Mapping[str, Any]) -> str:
    """Return the page of a report.

    :param document: ``load``, the parsed text of ``LoadResult.to_json``; and, each of which may be missing or empty,
        ``verdict``, and ``endpoint``, ``cloudwatch``, ``scaling_activities``, ``alarms`` and ``missing`` as
        ``evidence.collect`` returns them; a verdict has ``passed`` and ``limits``, each with ``name``, ``allowed``,
        ``measured``, ``passed`` and, if known, the ``phase``
    :returns: HTML that needs no other file
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters |= {"moment": _moment, "number": _number, "percent": _percent, "mark_safe": Markup}
    load = document["load"]
    run = timeline(load)
    activities = document.get("scaling_activities") or []
    alarms = document.get("alarms") or []
    errors = _errors(load["phases"])
    series = _cloudwatch_rows(document.get("cloudwatch") or {})
    return environment.get_template(
        "page.html.jinja"
    ).render(
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - ours
        load=load,
        run=run,
        verdict=_verdict(document.get("verdict")),
        endpoint=document.get("endpoint") or {},
        rows=[_row(phase) for phase in load["phases"]],
        errors=errors[:_MAX_ROWS],
        variants=_variants(load["phases"]),
        measured=_measured(load, run),
        watched=_watched(document, run),
        unknown={part: _unknown(document, part) for part in ("endpoint", "scaling_activities")},
        activities=activities[:_MAX_ROWS],
        alarms=alarms[:_MAX_ROWS],
        cloudwatch_rows=series[:_MAX_ROWS],
        left_out={
            "errors": len(errors) - _MAX_ROWS,
            "activities": len(activities) - _MAX_ROWS,
            "alarms": len(alarms) - _MAX_ROWS,
            "series": len(series) - _MAX_ROWS,
        },
    )


def _measured(load: Mapping[str, Any], run: Timeline) -> list[Figure]:
    names = phase_names([phase["phase"] for phase in load["phases"]])
    each = "one second" if run.seconds_per_point == 1 else f"{run.seconds_per_point} seconds"
    worst = "" if run.seconds_per_point == 1 else "; a point shows the worst of its seconds"
    nothing = "Nothing was answered."
    return [
        Figure(
            "Throughput",
            f"Each point is {each}; alternate phases are shaded.",
            plots.throughput(run),
            "Nothing was sent.",
        ),
        Figure("Latency", f"Measured by the sender, from when a request was due{worst}.", plots.latency(run), nothing),
        Figure(
            "Latency distribution",
            "How slow the slowest answers were. Further right are rarer answers.",
            plots.distribution(load["phases"], names),
            nothing,
        ),
        Figure("Variant shares", "Share of the answers by variant.", plots.variant_shares(run), nothing),
        Figure(
            "Accuracy by variant",
            "Share of the answers that name the row's label.",
            plots.accuracy(run),
            nothing,
        ),
    ]


def _watched(document: Mapping[str, Any], run: Timeline) -> dict[str, Figure]:
    bounds = aws_plots.span(run, document)
    activities = (document.get("scaling_activities") or [])[:_MAX_ROWS]
    cloudwatch = document.get("cloudwatch") or {}
    alarms = document.get("alarms") or []
    beyond = len(alarms) - aws_plots.MAX_ALARMS
    return {
        "instances": Figure(
            "Instances and scaling",
            "Instances by DescribeEndpoint, during the load. A dotted line is a scaling activity, by its number.",
            aws_plots.instances(run, activities, bounds),
            "The number of instances is unknown.",
        ),
        "alarms": Figure(
            "Alarms",
            f"Numbered as in the table{f'; the plot leaves out {beyond} more' if beyond > 0 else ''}.",
            aws_plots.alarms(run, alarms, bounds),
            _unknown(document, "alarms") or "No alarm watches the endpoint.",
        ),
        "requests": Figure(
            "Invocations",
            "CloudWatch's Sum for each minute, stacked, and the sender's count for the same minute. CloudWatch also "
            "counts the invocations of other clients.",
            aws_plots.requests(run, cloudwatch, bounds),
            _unknown(document, "cloudwatch") or "CloudWatch has no Invocations for this time.",
        ),
        "latencies": Figure(
            "ModelLatency and OverheadLatency",
            "CloudWatch has both in microseconds; here they are in milliseconds. ModelLatency is the time of the "
            "container, with the way to it and back; OverheadLatency is what SageMaker adds. The sender's latency also "
            "includes the network and, with a constant rate, the time that a request waited to be sent.",
            aws_plots.latencies(run, cloudwatch, bounds),
            _unknown(document, "cloudwatch") or "CloudWatch has no latencies for this time.",
        ),
    }


def _unknown(document: Mapping[str, Any], part: str) -> str | None:
    """Say why a part is missing; None for a part that was read, even if it is empty."""
    if document.get(part) is not None:
        return None
    why = (document.get("missing") or {}).get(part)
    return f"This could not be read: {why}" if why else "AWS was not asked."


def _row(phase: Mapping[str, Any]) -> dict[str, Any]:
    latency = phase["latency_ms"]
    return {
        **phase,
        "name": phase_name(phase["phase"]),
        "concurrency": phase["phase"]["concurrency"],
        "planned": phase["phase"]["requests"],
        "failed": sum(phase["errors"].values()),
        "latencies": [latency.get(key) for key in ("p50", "p90", "p99", "max")],
    }


def _errors(phases: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, int]]:
    named = zip(phase_names([phase["phase"] for phase in phases]), phases, strict=True)
    found = [(name, *error) for name, phase in named for error in phase["errors"].items()]
    return sorted(found, key=lambda error: -error[2])


def _variants(phases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = sorted({name for phase in phases for name in phase["variants"]})
    whole = sum(phase["answered"] for phase in phases)
    rows = []
    for name in names:
        answered = sum(phase["variants"].get(name, 0) for phase in phases)
        right = sum(phase["right_by_variant"].get(name, 0) for phase in phases)
        rows.append(
            {
                "name": name,
                "answered": answered,
                "share": answered / whole,
                "right": right,
                "accuracy": right / answered,
            }
        )
    return rows


def _verdict(verdict: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not verdict or not verdict.get("limits"):
        return None
    limits = verdict["limits"]
    if verdict["passed"]:
        said = "Passed: every limit was kept."
    elif all(one["passed"] for one in limits):
        said = "Failed: every limit was kept, but the load ended before all of it was sent."
    else:
        said = "Failed: not every limit was kept."
    rows = [{"phase": None, **one, "by": _by(one)} for one in limits]
    return {"passed": verdict["passed"], "said": said, "limits": rows, "phases": any(row["phase"] for row in rows)}


def _by(limit: Mapping[str, Any]) -> str:
    """Return how far a figure is above or below its limit."""
    allowed, measured = limit["allowed"], limit["measured"]
    if measured is None:
        return "not measured"
    if not isinstance(allowed, int | float) or not isinstance(measured, int | float):
        return ""
    gap = measured - allowed
    share = f" ({abs(gap / allowed):.0%})" if allowed else ""
    return "exactly at the limit" if gap == 0 else f"{_number(abs(gap))}{share} {'above' if gap > 0 else 'below'}"


def _cloudwatch_rows(watched: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each metric: the total of a count, the range of any other."""
    rows = []
    for one in watched.get("series", ()):
        values = one["values"]
        counts = one["statistic"] == "Sum"
        rows.append(
            {
                **one,
                # CloudWatch's unit for counts.
                "unit": "" if one["unit"] == "None" else one["unit"],
                "minutes": len(values),
                "lowest": None if counts or not values else min(values),
                "highest": None if counts or not values else max(values),
                "total": sum(values) if counts and values else None,
            }
        )
    return rows


def _moment(text: str | None) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%H:%M:%S") if text else _NONE


def _number(value: Any) -> str:
    if value is None:
        return _NONE
    if isinstance(value, str | bool):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2%}"
