"""CloudWatch: the metrics of an endpoint's variants, and which alarms fired."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.session import AwsHook

# https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
NAMESPACE = "AWS/SageMaker"
_INSTANCES_NAMESPACE = "/aws/sagemaker/Endpoints"
_MINUTE_SECONDS = 60
# Read minute by minute: namespace, metric, unit, statistics. GetMetricData does not return the unit.
_SERIES = (
    (NAMESPACE, "Invocations", "None", ("Sum",)),
    (NAMESPACE, "InvocationsPerInstance", "None", ("Sum",)),
    (NAMESPACE, "Invocation4XXErrors", "None", ("Sum",)),
    (NAMESPACE, "Invocation5XXErrors", "None", ("Sum",)),
    (NAMESPACE, "ModelLatency", "Microseconds", ("Average", "p50", "p99")),
    (NAMESPACE, "OverheadLatency", "Microseconds", ("Average", "p50", "p99")),
    (_INSTANCES_NAMESPACE, "CPUUtilization", "Percent", ("Average",)),
    (_INSTANCES_NAMESPACE, "MemoryUtilization", "Percent", ("Average",)),
)

_ALARM = "ALARM"
# The template's alarms, and those that Application Auto Scaling creates for target tracking.
# https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html
_ALARM_PREFIXES = ("slipway-{endpoint}-", "TargetTracking-endpoint/{endpoint}/")


@dataclass(frozen=True)
class FiredAlarm:
    """An alarm that fired.

    :param reason: in CloudWatch's words
    """

    name: str
    at: datetime
    reason: str

    def __str__(self) -> str:
        return f"the alarm {self.name} fired at {self.at:%Y-%m-%dT%H:%M:%SZ} ({self.reason})"


@dataclass(frozen=True)
class MetricSeries:
    """One statistic of one metric of one variant, minute by minute.

    :param timestamps: of each minute's start, in order
    :param values: in the unit; a minute without data is in neither
    """

    metric: str
    statistic: str
    variant: str
    unit: str
    timestamps: tuple[datetime, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class StateChange:
    """A change of an alarm's state.

    :param reason: in CloudWatch's words
    """

    at: datetime
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class WatchedAlarm:
    """An alarm of an endpoint.

    :param state: now
    :param history: its changes in the time that was asked for, the oldest first
    """

    name: str
    state: str
    history: tuple[StateChange, ...]


def series_request(endpoint_name: str, variants: Iterable[str], began: float, ended: float) -> dict[str, Any]:
    """Write the request for some variants' metrics, minute by minute.

    :param endpoint_name: the endpoint
    :param variants: the variants' names
    :param began: seconds since the epoch
    :param ended: seconds since the epoch
    :returns: the parameters of GetMetricData
    """
    start, end = whole_minutes(began, ended)
    return {
        "StartTime": datetime.fromtimestamp(start, UTC),
        "EndTime": datetime.fromtimestamp(end, UTC),
        "ScanBy": "TimestampAscending",
        "MetricDataQueries": [
            metric_query(f"q{number}", namespace, metric, statistic, endpoint_name, variant, _MINUTE_SECONDS)
            for number, (namespace, metric, _, statistic, variant) in enumerate(_all_series(variants))
        ],
    }


def series_of(answers: Iterable[Mapping[str, Any]], variants: Iterable[str]) -> list[MetricSeries]:
    """Read the answers to ``series_request``.

    :param answers: the pages of GetMetricData
    :param variants: as in the request
    :returns: every series that has values
    """
    points: dict[str, dict[datetime, float]] = {}
    for answer in answers:
        for result in answer["MetricDataResults"]:
            pairs = zip(result["Timestamps"], result["Values"], strict=True)
            points.setdefault(result["Id"], {}).update((at, value) for at, value in pairs if math.isfinite(value))
    found = []
    for number, (_, metric, unit, statistic, variant) in enumerate(_all_series(variants)):
        if minutes := sorted(points.get(f"q{number}", {}).items()):
            times, values = zip(*minutes, strict=True)
            found.append(MetricSeries(metric, statistic, variant, unit, times, values))
    return found


def _all_series(variants: Iterable[str]) -> list[tuple[str, str, str, str, str]]:
    return [
        (namespace, metric, unit, statistic, variant)
        for variant in variants
        for namespace, metric, unit, statistics in _SERIES
        for statistic in statistics
    ]


def whole_minutes(began: float, ended: float) -> tuple[float, float]:
    """Widen a span of time to whole minutes, at least one: metrics have no finer resolution.

    :param began: seconds since the epoch
    :param ended: seconds since the epoch
    """
    start = math.floor(began / _MINUTE_SECONDS) * _MINUTE_SECONDS
    # The current minute has metrics too.
    return start, max(math.ceil(ended / _MINUTE_SECONDS), start / _MINUTE_SECONDS + 1) * _MINUTE_SECONDS


def next_whole_minute(moment: float) -> float:
    """Return the first whole minute from a moment on: what was counted earlier in a minute cannot be told apart.

    SageMaker sends an endpoint's metrics every minute.
    https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html

    :param moment: seconds since the epoch
    """
    return math.ceil(moment / _MINUTE_SECONDS) * _MINUTE_SECONDS


def metric_query(
    query_id: str, namespace: str, metric: str, statistic: str, endpoint_name: str, variant: str, period_seconds: int
) -> dict[str, Any]:
    """Write one query of GetMetricData for a metric of a variant.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
    """
    dimensions = {"EndpointName": endpoint_name, "VariantName": variant}
    return {
        "Id": query_id,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            },
            "Period": period_seconds,
            "Stat": statistic,
        },
    }


class CloudWatchHook(AwsHook):
    """The metrics of endpoint invocations, and the history of alarms, which outlives them.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html
    """

    service = "cloudwatch"

    @patient
    def metric_data(self, endpoint_name: str, request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Read metrics of an endpoint.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html

        :param endpoint_name: the endpoint, for the error
        :param request: the operation's parameters
        :returns: the pages of the answer
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("read the metrics of the endpoint", endpoint_name):
            return list(self.conn.get_paginator("get_metric_data").paginate(**request))

    @patient
    def fired(self, names: Iterable[str], since: datetime) -> list[FiredAlarm]:
        """Find out which alarms fired.

        :param names: the alarms' names
        :param since: from when on
        :returns: the alarms that fired, the oldest first
        :raises slipway.errors.AwsError: when a call fails
        """
        found = [alarm for name in names for alarm in self._fired(name, since)]
        return sorted(found, key=lambda alarm: alarm.at)

    def series(self, endpoint_name: str, variants: Iterable[str], began: float, ended: float) -> list[MetricSeries]:
        """Read the metrics of an endpoint's variants, minute by minute.

        SageMaker writes its metrics each minute, so those of the last minutes may still be missing.

        :param endpoint_name: the endpoint's name
        :param variants: the variants' names
        :param began: seconds since the epoch
        :param ended: seconds since the epoch
        :returns: every series that has values
        :raises slipway.errors.AwsError: when the call fails
        """
        names = list(variants)
        if not names:
            return []
        return series_of(self.metric_data(endpoint_name, series_request(endpoint_name, names, began, ended)), names)

    @patient
    def alarms(self, endpoint_name: str, began: datetime, ended: datetime) -> list[WatchedAlarm]:
        """Read the alarms of an endpoint: the template's, and those of target tracking.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html

        :param endpoint_name: the endpoint's name
        :param began: from when on their history is read
        :param ended: until when
        :returns: the alarms by name, with their changes of state
        :raises slipway.errors.AwsError: when a call fails
        """
        listed: list[Mapping[str, Any]] = []
        with aws_call("list the alarms of the endpoint", endpoint_name):
            for prefix in _ALARM_PREFIXES:
                pages = self.conn.get_paginator("describe_alarms").paginate(
                    AlarmNamePrefix=prefix.format(endpoint=endpoint_name), AlarmTypes=["MetricAlarm"]
                )
                listed += [alarm for page in pages for alarm in page["MetricAlarms"]]
        # Another endpoint's name may begin with this one's.
        ours = [alarm for alarm in listed if {"Name": "EndpointName", "Value": endpoint_name} in alarm["Dimensions"]]
        return [
            WatchedAlarm(alarm["AlarmName"], alarm["StateValue"], self._changes(alarm["AlarmName"], began, ended))
            for alarm in ours
        ]

    def _changes(self, name: str, began: datetime, ended: datetime) -> tuple[StateChange, ...]:
        with aws_call("read the history of the alarm", name):
            pages = self.conn.get_paginator("describe_alarm_history").paginate(
                AlarmName=name,
                HistoryItemType="StateUpdate",
                StartDate=began,
                EndDate=ended,
                ScanBy="TimestampAscending",
            )
            items = [item for page in pages for item in page["AlarmHistoryItems"]]
        changes = []
        for item in items:
            data = json.loads(item.get("HistoryData") or "{}")
            if "oldState" in data and "newState" in data:
                old, new = data["oldState"], data["newState"]
                reason = new.get("stateReason", "no reason given")
                changes.append(StateChange(item["Timestamp"], old["stateValue"], new["stateValue"], reason))
        return tuple(sorted(changes, key=lambda change: change.at))

    def _fired(self, name: str, since: datetime) -> Iterator[FiredAlarm]:
        with aws_call("read the history of the alarm", name):
            pages = self.conn.get_paginator("describe_alarm_history").paginate(
                AlarmName=name, HistoryItemType="StateUpdate", StartDate=since
            )
            items = [item for page in pages for item in page["AlarmHistoryItems"]]
        for item in items:
            new = json.loads(item.get("HistoryData") or "{}").get("newState", {})
            if new.get("stateValue") == _ALARM:
                yield FiredAlarm(name, item["Timestamp"], new.get("stateReason", "no reason given"))
