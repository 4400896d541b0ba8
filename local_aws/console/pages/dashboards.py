"""CloudWatch's dashboards as plots.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from local_aws.console.arithmetic import Unknown, evaluate
from local_aws.console.html import Content, Markup, tag
from local_aws.console.parts import facts, moment, section, slug, state, table
from local_aws.console.plots import Points, plot
from local_aws.console.request import Asked, Missing, Page
from local_aws.console.sources import Sources
from local_aws.framework.store import Scope

_SPAN_SECONDS = 3 * 3600
_MOST = 100


def dashboards(asked: Asked, sources: Sources) -> Page:
    """List the dashboards."""
    rows = [
        (asked.link(one["DashboardName"], "dashboard", name=one["DashboardName"]), moment(one.get("LastModified")))
        for one in sources.views.alarms.dashboards(asked.scope)
    ]
    return Page("Dashboards", table("Dashboards", ("dashboard", "changed (UTC)"), rows), "dashboards")


def dashboard(asked: Asked, sources: Sources) -> Page:
    """Draw one dashboard."""
    name = asked.get("name")
    found = sources.views.alarms.dashboard(asked.scope, name)
    if found is None:
        raise Missing(f"There is no dashboard {name}.")
    try:
        widgets = json.loads(found["DashboardBody"])["widgets"]
        drawn = [_widget(asked, sources, number, one) for number, one in enumerate(widgets[:_MOST], 1)]
    except (ValueError, LookupError, TypeError, AttributeError):
        drawn = [tag("p", "Its body is not one that CloudWatch draws.", class_="nothing")]
    content = (
        facts([("changed (UTC)", moment(found.get("LastModified")))]),
        tag("p", f"The last {_SPAN_SECONDS // 3600} hours.", class_="note"),
        section("Widgets", tag("div", drawn, class_="plots")),
    )
    return Page(name, content, "dashboards")


def _widget(asked: Asked, sources: Sources, number: int, widget: Mapping[str, Any]) -> Content:
    properties = widget.get("properties", {})
    title = str(properties.get("title") or f"Widget {number}")
    if widget.get("type") == "metric" and "metrics" in properties:
        return _metrics(asked.scope, sources, f"{title}", properties)
    if widget.get("type") == "text":
        return tag("figure", tag("p", properties.get("markdown", "")))
    if widget.get("type") == "alarm":
        return _alarms(asked, sources, title, properties.get("alarms", []))
    caption = tag("figcaption", title)
    return tag("figure", caption, tag("p", f"A widget of type {widget.get('type')} is not drawn.", class_="nothing"))


def _alarms(asked: Asked, sources: Sources, title: str, arns: Sequence[str]) -> Markup:
    rows = []
    for arn in arns:
        name = str(arn).partition(":alarm:")[2]
        found = sources.views.alarms.alarm(asked.scope, name)
        rows.append((asked.link(name, "alarm", name=name), state(found["StateValue"] if found else None)))
    return tag("figure", tag("figcaption", title), table(f"Alarms of {slug(title)}", ("alarm", "state"), rows))


def _metrics(scope: Scope, sources: Sources, title: str, properties: Mapping[str, Any]) -> Markup:
    now = time.time()
    span = (now - _SPAN_SECONDS, now)
    scope = Scope(scope.account_id, str(properties.get("region") or scope.region))
    known: dict[str, Points] = {}
    lines: list[tuple[str, Points | str]] = []
    earlier: list[str] = []
    for entry in properties["metrics"][:_MOST]:
        options = entry[-1] if entry and isinstance(entry[-1], dict) else {}
        if "expression" in options:
            line: Points | str = str(options["expression"])
        else:
            earlier = _spelt_out([part for part in entry if not isinstance(part, dict)], earlier)
            period = float(options.get("period") or properties.get("period") or 300)
            statistic = str(options.get("stat") or properties.get("stat") or "Average")
            metric = (earlier[0], earlier[1], dict(zip(earlier[2::2], earlier[3::2], strict=False)))
            line = sources.cloudwatch.series(scope, metric, statistic, span, max(1.0, period))
            known[str(options.get("id", ""))] = line
        if options.get("visible", True):
            lines.append((str(options.get("label") or options.get("id") or earlier[1]), line))
    drawn, unknown = [], []
    for label, line in lines:
        try:
            drawn.append((label, _calculated(line, known) if isinstance(line, str) else line))
        except Unknown:
            unknown.append(f"{label}: {line}")
    made = plot(title, drawn, span=span)
    note = tag("p", "Not drawn: ", "; ".join(unknown), class_="nothing") if unknown else None
    return tag("div", made, note) if note else made


def _spelt_out(parts: list[Any], earlier: list[str]) -> list[str]:
    """Replace ``.`` by the same part of the entry before, and ``...`` by all of its parts that are left out."""
    if "..." in parts:
        place = parts.index("...")
        parts = parts[:place] + earlier[place : len(earlier) - len(parts[place + 1 :])] + parts[place + 1 :]
    return [earlier[index] if part == "." and index < len(earlier) else str(part) for index, part in enumerate(parts)]


def _calculated(expression: str, known: Mapping[str, Points]) -> Points:
    """Calculate an expression of the values of other metrics, where all of them have one."""
    values = {name: dict(points) for name, points in known.items()}
    used, calculate = evaluate(expression, values.keys())
    times = set.intersection(*(set(values[name]) for name in used)) if used else set()
    found = []
    for at in sorted(times):
        result = calculate({name: values[name][at] for name in used})
        if result is not None:
            found.append((at, result))
    return found
