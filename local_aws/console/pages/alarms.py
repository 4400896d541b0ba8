"""CloudWatch's alarms and what they did."""

import json
import time
from collections.abc import Mapping
from typing import Any

from local_aws.console.html import Content, tag
from local_aws.console.parts import facts, field, folded, long, moment, onward, search, section, state, table
from local_aws.console.plots import plot
from local_aws.console.request import ROWS, Asked, Missing, Page
from local_aws.console.sources import Sources

_STATES = ("", "OK", "ALARM", "INSUFFICIENT_DATA")
_CHANGES = 200
_SPAN_SECONDS = 3 * 3600
_POINTS = 180


def alarms(asked: Asked, sources: Sources) -> Page:
    """List the alarms, by name."""
    wanted, start = asked.get("state"), asked.whole("start", 0)
    every = [one for one in sources.views.alarms.alarms(asked.scope) if wanted in ("", one["StateValue"])]
    rows = [
        (
            asked.link(one["AlarmName"], "alarm", name=one["AlarmName"]),
            state(one["StateValue"]),
            moment(one.get("StateUpdatedTimestamp")),
            long(_condition(one)),
            long(one.get("StateReason")),
        )
        for one in every[start : start + ROWS]
    ]
    heads = ("alarm", "state", "since (UTC)", "condition", "reason")
    more = start + ROWS < len(every) and asked.link("More alarms", "alarms", state=wanted, start=start + ROWS)
    form = search(asked, "Alarms", field("State", "state", wanted, _STATES))
    return Page("Alarms", (table("Alarms", heads, rows), onward(more)), "alarms", form)


def alarm(asked: Asked, sources: Sources) -> Page:
    """Show one alarm: its metric, its condition, its history."""
    name = asked.get("name")
    found = sources.views.alarms.alarm(asked.scope, name)
    if found is None:
        raise Missing(f"There is no alarm {name}.")
    actions = [
        (kind.removesuffix("Actions") or "ALARM", long("\n".join(found.get(kind) or [])))
        for kind in ("AlarmActions", "OKActions", "InsufficientDataActions")
        if found.get(kind)
    ]
    content: list[Content] = [
        facts(
            [
                ("state", state(found["StateValue"])),
                ("since (UTC)", moment(found.get("StateUpdatedTimestamp"))),
                ("reason", found.get("StateReason")),
                ("condition", _condition(found)),
                ("description", found.get("AlarmDescription")),
                ("missing data are", found.get("TreatMissingData")),
                ("actions", None if found.get("ActionsEnabled", True) else "disabled"),
                ("ARN", found["AlarmArn"]),
            ]
        ),
        section("Metric", _metric(asked, sources, found)),
        section("History", _history(asked, sources, name)),
        section("Actions", table("Actions", ("state", "what is told"), actions)),
    ]
    return Page(found["AlarmName"], content, "alarms")


def _condition(alarm: Mapping[str, Any]) -> str:
    if not alarm.get("MetricName"):
        return str(alarm.get("AlarmRule", ""))
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
    periods = alarm["EvaluationPeriods"]
    datapoints = alarm.get("DatapointsToAlarm") or periods
    return (
        f"{statistic} of {alarm['MetricName']} {alarm['ComparisonOperator']} {alarm['Threshold']:g} "
        f"for {datapoints} of {periods} periods of {alarm['Period']} s"
    )


def _metric(asked: Asked, sources: Sources, alarm: Mapping[str, Any]) -> Content:
    if not alarm.get("MetricName") or not alarm.get("Namespace"):
        return tag("p", "It watches no single metric.", class_="nothing")
    dimensions = {one["Name"]: one.get("Value", "") for one in alarm.get("Dimensions") or []}
    period = sources.settings.clock.real_seconds(alarm["Period"])
    seconds = min(_SPAN_SECONDS, max(600.0, period * _POINTS))
    now = time.time()
    span = (now - seconds, now)
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    metric = (alarm["Namespace"], alarm["MetricName"], dimensions)
    points = sources.cloudwatch.series(asked.scope, metric, statistic, span, max(period, seconds / _POINTS))
    named = ", ".join(f"{name} {value}" for name, value in sorted(dimensions.items()))
    return (
        tag("p", f"{alarm['Namespace']}, {named or 'no dimensions'}", class_="note"),
        plot(f"{statistic} of {alarm['MetricName']}", [("value", points)], limit=alarm["Threshold"], span=span),
    )


def _history(asked: Asked, sources: Sources, name: str) -> Content:
    entries = sources.views.alarms.history(asked.scope, name, _CHANGES)
    rows = []
    for entry in entries:
        data = json.loads(entry.data or "{}")
        new = data.get("newState", {})
        old = data.get("oldState", {}).get("stateValue", "")
        why = long(new.get("stateReason") or entry.summary)
        states = (state(old) if old else "", state(new["stateValue"]) if new else "")
        rows.append((moment(entry.at), *states, why))
    made = table("History, the newest first", ("time (UTC)", "from", "to", "reason"), rows)
    return made if len(rows) <= ROWS else folded("history-folded", f"{len(rows)} changes", made)
