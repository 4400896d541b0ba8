"""What CloudWatch refuses, and ministack does not.

Each check is one of ministack's gaps. tests/local_aws/host/test_ministack_gaps.py fails when a new ministack has closed
one, so that the check here can go.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore.utils import parse_timestamp

from local_aws.host.model_checks import problem, query_document

PRIVATE_PARTS = {
    "ministack.services.cloudwatch": (
        "_error",
        "_get_metric_data",
        "_get_metric_statistics",
        "_put_dashboard",
        "_put_metric_alarm",
        "_put_metric_data",
    ),
}

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
_LARGEST_VALUE = 2.0**360
_MOST_VALUES = 150
_OLDEST_SECONDS, _NEWEST_SECONDS = 14 * 86400, 2 * 3600
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
_MOST_DATA = 1000
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
_SHORT_PERIODS_SECONDS = (1, 5, 10, 20, 30)
_MOST_DATAPOINTS = 1440
_STATISTIC = re.compile(r"SampleCount|Sum|Average|Minimum|Maximum|IQM|(TM|TC|TS|WM|PR)\([^()]+\)", re.ASCII)
_OF_PERCENT = re.compile(r"(?:p|tm|tc|ts|wm)(\d+(?:\.\d+)?)", re.ASCII | re.IGNORECASE)
_LARGEST_PERCENT = 100
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
_SHORT_ALARM_PERIODS_SECONDS = (10, 20, 30)
_TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
_QUERY_ID = re.compile("[a-z][a-zA-Z0-9_]*")
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
_DASHBOARD_NAME = re.compile("[A-Za-z0-9_-]+")
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
_WIDGETS = ("alarm", "custom", "explorer", "log", "metric", "text")
_INVALID = "InvalidParameterValue"
_COMBINATION = "InvalidParameterCombination"

Handler = Callable[..., Any]
# Code and text of a refusal.
Problem = tuple[str, str]


def check_requests(modules: Mapping[str, Any]) -> None:
    """Let CloudWatch refuse numbers, times, periods, alarms and dashboards as AWS does.

    :param modules: ministack's modules by name
    """
    cloudwatch = modules["ministack.services.cloudwatch"]
    for name, operation, check in (
        ("_put_metric_data", "PutMetricData", _data_problem),
        ("_get_metric_statistics", "GetMetricStatistics", _statistics_problem),
        ("_get_metric_data", "GetMetricData", _queries_problem),
        ("_put_metric_alarm", "PutMetricAlarm", alarm_problem),
        ("_put_dashboard", "PutDashboard", dashboard_problem),
    ):
        setattr(cloudwatch, name, _checked(cloudwatch, getattr(cloudwatch, name), operation, check))


def _checked(
    cloudwatch: Any, handle: Handler, operation: str, check: Callable[[dict[str, Any]], Problem | None]
) -> Handler:
    """Ask the model and a check before a handler; both read the request's document, whatever its protocol."""

    def called(params: dict[str, Any], document: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Any:
        given = document
        if not is_cbor and not is_json:
            values = {name: value[0] if isinstance(value, list) else value for name, value in params.items()}
            given = query_document("cloudwatch", operation, values)
        wrong = problem("cloudwatch", operation, given)
        found = ("ValidationError", wrong) if wrong else check(given)
        if found:
            return cloudwatch._error(*found, 400, use_json=is_json, use_cbor=is_cbor)
        return handle(params, document, is_cbor, is_json)

    return called


def data_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all data of a PutMetricData, those of entities as well.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_EntityMetricData.html
    """
    entities = document.get("EntityMetricData") or []
    return [*(document.get("MetricData") or []), *(one for each in entities for one in each.get("MetricData") or [])]


def _data_problem(document: dict[str, Any]) -> Problem | None:
    data = data_of(document)
    if not data:
        return "MissingParameter", "The parameter MetricData is required."
    if len(data) > _MOST_DATA:
        return _INVALID, f"The collection MetricData must not have a size greater than {_MOST_DATA}."
    now = time.time()
    return next(
        (
            found
            for number, datum in enumerate(data, 1)
            if (found := _datum_problem(f"MetricData.member.{number}", datum, now))
        ),
        None,
    )


def _datum_problem(name: str, datum: dict[str, Any], now: float) -> Problem | None:
    """Check one datum.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
    """
    given = [member for member in ("Value", "Values", "StatisticValues") if datum.get(member) not in (None, [])]
    if not given:
        return "MissingParameter", f"At least one of the parameters {name}.Value and {name}.Values must be specified."
    if len(given) > 1:
        listed = " and ".join(f"{name}.{member}" for member in given)
        return _COMBINATION, f"The parameters {listed} are mutually exclusive and you have specified both."
    values, counts = datum.get("Values") or [], datum.get("Counts")
    if len(values) > _MOST_VALUES:
        return _INVALID, f"The collection {name}.Values must not have a size greater than {_MOST_VALUES}."
    if counts and len(counts) != len(values):
        return _COMBINATION, f"The parameters {name}.Values and {name}.Counts must have the same size."
    if datum.get("StorageResolution") not in (None, 1, 60):
        return _INVALID, f"The parameter {name}.StorageResolution must be 1 or 60."
    if (when := datum.get("Timestamp")) is not None:
        age = now - _seconds(when)
        if age > _OLDEST_SECONDS:
            return _INVALID, f"The parameter {name}.Timestamp must specify a time no more than two weeks in the past."
        if age < -_NEWEST_SECONDS:
            return _INVALID, f"The parameter {name}.Timestamp must specify a time no more than two hours in the future."
    for member, value in _numbers(name, datum):
        number = float(value)
        if not math.isfinite(number):
            return _INVALID, f"The value {_written(number)} for parameter {member} is invalid."
        if abs(number) > _LARGEST_VALUE:
            return (
                _INVALID,
                f"The value {_written(number)} for parameter {member} must be between -2^360 and 2^360.",
            )
    return None


def _numbers(name: str, datum: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if datum.get("Value") is not None:
        yield f"{name}.Value", datum["Value"]
    for member in ("SampleCount", "Sum", "Minimum", "Maximum"):
        if (value := (datum.get("StatisticValues") or {}).get(member)) is not None:
            yield f"{name}.StatisticValues.{member}", value
    for position, value in enumerate(datum.get("Values") or [], 1):
        yield f"{name}.Values.member.{position}", value
    for position, count in enumerate(datum.get("Counts") or [], 1):
        yield f"{name}.Counts.member.{position}", count


def _seconds(when: Any) -> float:
    if isinstance(when, datetime):
        return when.timestamp()
    return float(when) if isinstance(when, int | float) else float(parse_timestamp(when).timestamp())


def _written(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return f"{number:g}" if math.isfinite(number) else ("Infinity" if number > 0 else "-Infinity")


def _period_problem(period: Any, short: tuple[int, ...]) -> Problem | None:
    if period is None or int(period) in short or (int(period) > 0 and int(period) % 60 == 0):
        return None
    listed = ", ".join(map(str, short))
    return _INVALID, f"The parameter Period must be one of {listed} or a multiple of 60; it is {period}."


def _statistic_problem(statistic: str, name: str) -> Problem | None:
    """Refuse what is no statistic of CloudWatch's.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
    """
    percent = _OF_PERCENT.fullmatch(statistic)
    known = float(percent[1]) <= _LARGEST_PERCENT if percent else _STATISTIC.fullmatch(statistic)
    return None if known else (_INVALID, f"The value {statistic} for parameter {name} is not supported.")


def _statistics_problem(document: dict[str, Any]) -> Problem | None:
    """Check GetMetricStatistics.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
    """
    if found := _period_problem(document.get("Period"), _SHORT_PERIODS_SECONDS):
        return found
    if not document.get("Statistics") and not document.get("ExtendedStatistics"):
        return (
            _COMBINATION,
            "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
        )
    for number, statistic in enumerate(document.get("ExtendedStatistics") or [], 1):
        if found := _statistic_problem(statistic, f"ExtendedStatistics.member.{number}"):
            return found
    if found := _range_problem(document):
        return found
    wanted = math.ceil((_seconds(document["EndTime"]) - _seconds(document["StartTime"])) / int(document["Period"]))
    if wanted > _MOST_DATAPOINTS:
        return (
            _COMBINATION,
            f"You have requested up to {wanted:,} datapoints, which exceeds the limit of {_MOST_DATAPOINTS:,}. You may "
            "reduce the datapoints requested by increasing Period, or decreasing the time range.",
        )
    return None


def _range_problem(document: dict[str, Any]) -> Problem | None:
    if _seconds(document["StartTime"]) >= _seconds(document["EndTime"]):
        return _COMBINATION, "The parameter StartTime must be less than the parameter EndTime."
    return None


def _queries_problem(document: dict[str, Any]) -> Problem | None:
    """Check GetMetricData.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    """
    code, seen = "ValidationError", set()
    for number, query in enumerate(document.get("MetricDataQueries") or [], 1):
        name = f"MetricDataQueries.member.{number}"
        if not _QUERY_ID.fullmatch(query["Id"]):
            return (
                code,
                f"The value {query['Id']} for parameter {name}.Id is not matches the expected pattern "
                f"^{_QUERY_ID.pattern}$.",
            )
        if query["Id"] in seen:
            return code, f"The values for parameter id in MetricDataQueries are not unique: {query['Id']}."
        seen.add(query["Id"])
        stat = query.get("MetricStat") or {}
        if found := _period_problem(stat.get("Period"), _SHORT_PERIODS_SECONDS):
            return code, found[1]
        if stat and (found := _statistic_problem(stat["Stat"], f"{name}.MetricStat.Stat")):
            return code, found[1]
    return (code, found[1]) if (found := _range_problem(document)) else None


def alarm_problem(document: dict[str, Any]) -> Problem | None:
    """Check an alarm, of a request or of a stack.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html

    :param document: by the names of PutMetricAlarm
    :returns: code and text of the refusal
    """
    code = "ValidationError"
    period, periods = document.get("Period"), int(document.get("EvaluationPeriods", 1))
    if found := _period_problem(period, _SHORT_ALARM_PERIODS_SECONDS):
        return found
    extended = document.get("ExtendedStatistic")
    if extended and (found := _statistic_problem(extended, "ExtendedStatistic")):
        return found
    if int(document.get("DatapointsToAlarm") or 1) > periods:
        return code, "DatapointsToAlarm must be less than or equal to EvaluationPeriods."
    longest = 86400 if int(period or 60) < 3600 else 7 * 86400
    if periods * int(period or 60) > longest:
        return (
            code,
            f"Metrics cannot be checked across more than {'a day' if longest == 86400 else 'seven days'} "
            f"(EvaluationPeriods * Period must be <= {longest}).",
        )
    if document.get("Statistic") and document.get("ExtendedStatistic"):
        return (
            _COMBINATION,
            "The parameters Statistic and ExtendedStatistic are mutually exclusive and you have specified both.",
        )
    treatment = document.get("TreatMissingData", "missing")
    if treatment not in _TREATMENTS:
        return code, f"The value {treatment} is not supported for TreatMissingData parameter."
    if not math.isfinite(float(document.get("Threshold") or 0)):
        return _INVALID, f"The value {_written(float(document['Threshold']))} for parameter Threshold is invalid."
    for member in ("OKActions", "AlarmActions", "InsufficientDataActions"):
        for arn in document.get(member) or []:
            if not str(arn).startswith("arn:"):
                return code, f"Invalid arn syntax: {arn}"
    return None


def dashboard_problem(document: dict[str, Any]) -> Problem | None:
    """Check a dashboard, of a request or of a stack.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html

    :param document: by the names of PutDashboard
    :returns: code and text of the refusal
    """
    code, name = "InvalidParameterInput", document.get("DashboardName", "any")
    if not _DASHBOARD_NAME.fullmatch(name):
        return (
            code,
            f"The value {name} for field DashboardName contains invalid characters. It can only contain alphanumerics, "
            "dash (-) and underscore (_).",
        )
    try:
        body = json.loads(document.get("DashboardBody") or "")
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
