"""What CloudWatch and its Logs refuse or select, and ministack does not.

Each check is one of ministack's gaps. tests/local_aws/host/test_ministack_gaps.py fails when a new ministack has closed
one, so that the check here can go.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

PRIVATE_PARTS = {
    "ministack.core.responses": ("error_response_json",),
    "ministack.services.cloudwatch": (
        "_error",
        "_get_metric_statistics",
        "_p",
        "_put_dashboard",
        "_put_metric_alarm",
        "_put_metric_data",
    ),
    "ministack.services.cloudwatch_logs": ("_filter_log_events", "_log_groups", "_resolve_log_group_name"),
}

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
_LARGEST_VALUE = 2.0**360
_NUMBERS = ("Value", "StatisticValues.Sum", "StatisticValues.Minimum", "StatisticValues.Maximum")
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
_SHORT_PERIODS_SECONDS = (1, 5, 10, 20, 30)
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
_SHORT_ALARM_PERIODS_SECONDS = (10, 20, 30)
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
_WIDGETS = ("alarm", "custom", "explorer", "log", "metric", "text")

Handler = Callable[..., Any]


def check_requests(modules: Mapping[str, Any]) -> None:
    """Let CloudWatch refuse numbers, periods and dashboards as AWS does, and FilterLogEvents choose by prefix.

    :param modules: ministack's modules by name
    """
    cloudwatch = modules["ministack.services.cloudwatch"]
    for name, problem in (
        ("_put_metric_data", _number_problem),
        ("_get_metric_statistics", _period_problem(_SHORT_PERIODS_SECONDS)),
        ("_put_metric_alarm", _period_problem(_SHORT_ALARM_PERIODS_SECONDS)),
        ("_put_dashboard", _dashboard_problem),
    ):
        setattr(cloudwatch, name, _checked(cloudwatch, getattr(cloudwatch, name), problem))
    _with_prefixes(modules)


def _checked(cloudwatch: Any, handle: Handler, problem: Callable[[Callable[[str], Any]], Any]) -> Handler:
    """Ask a check before a handler; the check reads members by their name in the Query protocol."""

    def called(params: dict[str, Any], document: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Any:
        if is_cbor or is_json:
            found = problem(lambda name: _member(document, name))
        else:
            found = problem(lambda name: cloudwatch._p(params, name) or None)
        if found:
            return cloudwatch._error(*found, 400, use_json=is_json, use_cbor=is_cbor)
        return handle(params, document, is_cbor, is_json)

    return called


def _member(document: Any, name: str) -> Any:
    """Return what ``MetricData.member.1.Value`` and the like name in a document; None where there is nothing."""
    parts = iter(name.split("."))
    for part in parts:
        if document is None:
            return None
        if part == "member":
            number = int(next(parts)) - 1
            document = document[number] if number < len(document) else None
        else:
            document = document.get(part)
    return document


def _number_problem(member: Callable[[str], Any]) -> tuple[str, str] | None:
    for name, value in _values(member):
        number = float(value)
        if not math.isfinite(number):
            return "InvalidParameterValue", f"The value {_written(number)} for parameter {name} is invalid."
        if abs(number) > _LARGEST_VALUE:
            return (
                "InvalidParameterValue",
                f"The value {_written(number)} for parameter {name} must be between -2^360 and 2^360.",
            )
    return None


def _values(member: Callable[[str], Any]) -> Iterator[tuple[str, Any]]:
    number = 1
    while member(f"MetricData.member.{number}.MetricName") is not None:
        datum = f"MetricData.member.{number}"
        for name in _NUMBERS:
            if (value := member(f"{datum}.{name}")) is not None:
                yield f"{datum}.{name}", value
        position = 1
        while (value := member(f"{datum}.Values.member.{position}")) is not None:
            yield f"{datum}.Values.member.{position}", value
            position += 1
        number += 1


def _written(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return f"{number:g}" if math.isfinite(number) else ("Infinity" if number > 0 else "-Infinity")


def _period_problem(short: tuple[int, ...]) -> Callable[[Callable[[str], Any]], tuple[str, str] | None]:
    def problem(member: Callable[[str], Any]) -> tuple[str, str] | None:
        period = member("Period")
        if period is None or int(period) in short or (int(period) > 0 and int(period) % 60 == 0):
            return None
        listed = ", ".join(map(str, short))
        return (
            "InvalidParameterValue",
            f"The parameter Period must be one of {listed} or a multiple of 60; it is {period}.",
        )

    return problem


def _dashboard_problem(member: Callable[[str], Any]) -> tuple[str, str] | None:
    code = "InvalidParameterInput"
    try:
        body = json.loads(member("DashboardBody") or "")
    except ValueError:
        return code, "The field DashboardBody must be a valid JSON object"
    if not isinstance(body, dict):
        return code, "The field DashboardBody must be a valid JSON object"
    widgets = body.get("widgets")
    if not isinstance(widgets, list):
        return code, 'The dashboard body is invalid: /widgets: "widgets" should be an array'
    for number, widget in enumerate(widgets):
        if not isinstance(widget, dict) or widget.get("type") not in _WIDGETS:
            return (
                code,
                f"The dashboard body is invalid: /widgets/{number}/type: should be one of {', '.join(_WIDGETS)}",
            )
        if not isinstance(widget.get("properties"), dict):
            return code, f"The dashboard body is invalid: /widgets/{number}: should have required property 'properties'"
    return None


def _with_prefixes(modules: Mapping[str, Any]) -> None:
    """Let FilterLogEvents read only the streams whose names begin with a text.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    """
    logs = modules["ministack.services.cloudwatch_logs"]
    error = modules["ministack.core.responses"].error_response_json
    filtered = logs._filter_log_events

    def chosen(data: dict[str, Any]) -> Any:
        prefix = data.get("logStreamNamePrefix")
        if prefix is None:
            return filtered(data)
        if data.get("logStreamNames"):
            why = "logStreamNames and logStreamNamePrefix cannot be specified together."
            return error("InvalidParameterException", why, 400)
        group = logs._log_groups.get(logs._resolve_log_group_name(data), {"streams": {}})
        names = [name for name in group["streams"] if name.startswith(prefix)]
        # ministack reads an empty list as all streams; no stream has an empty name.
        return filtered({**data, "logStreamNames": names or [""]})

    logs._filter_log_events = chosen
