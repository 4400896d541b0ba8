"""ministack's CloudWatch: its metrics and alarms, which `local_aws.alarms` evaluates."""

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_aws.alarms.actions import actions_of, notification
from local_aws.alarms.evaluation import within
from local_aws.framework.live_properties import json_as_declared
from local_aws.framework.store import Scope

PRIVATE_PARTS = {
    "ministack.core.responses": (
        "get_account_id",
        "get_region",
        "set_request_account_id",
        "set_request_region",
    ),
    "ministack.services.cloudwatch": (
        "_alarms",
        "_dashboards",
        "_resource_tags",
        "_calc_stats",
        "_dims_from_list",
        "_dims_key",
        "_dispatch_alarm_actions",
        "_evaluate_alarm",
        "_evaluate_parent_alarms",
        "_is_percentile_stat",
        "_metric_bucket",
        "_metrics",
        "_percentile_samples",
        "_record_history",
        "_stat_value",
        "_store_datum",
    ),
    "ministack.services.sns": ("_fanout", "topic_policy_allows"),
}
# Without EvaluateLowSampleCountPercentile and metric math, which ministack does not keep.
_ALARM_PROPERTIES = frozenset(
    {
        "ActionsEnabled",
        "AlarmActions",
        "AlarmDescription",
        "AlarmName",
        "ComparisonOperator",
        "DatapointsToAlarm",
        "Dimensions",
        "EvaluationPeriods",
        "ExtendedStatistic",
        "InsufficientDataActions",
        "MetricName",
        "Namespace",
        "OKActions",
        "Period",
        "Statistic",
        "Tags",
        "Threshold",
        "TreatMissingData",
        "Unit",
    }
)

_PRINCIPAL = "cloudwatch.amazonaws.com"

_log = logging.getLogger(__name__)


class CloudWatch:
    """ministack's alarms and metrics, without its own evaluation, which knows neither periods nor dimensions.

    Use it on the event loop's thread only.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._cloudwatch = cloudwatch = modules["ministack.services.cloudwatch"]
        self._sns = modules["ministack.services.sns"]
        self._responses = modules["ministack.core.responses"]
        # ministack's own code would change an alarm on any PutMetricData, and send SNS another text than AWS's.
        cloudwatch._evaluate_alarm = lambda alarm: None
        cloudwatch._store_datum = _storing_values_together(cloudwatch)
        cloudwatch._percentile_samples = _with_values_together(cloudwatch._percentile_samples)
        cloudwatch._dispatch_alarm_actions = self._notify

    def metric_alarms(self) -> list[tuple[Scope, Mapping[str, Any]]]:
        """Return the metric alarms of all accounts and regions."""
        return [
            (Scope(account, region), alarm)
            for (account, region, _), alarm in list(self._cloudwatch._alarms._data.items())
        ]

    def readers(self) -> dict[str, tuple[Callable[..., dict[str, Any] | None], frozenset[str]]]:
        """Return what reads the live properties of resource types for drift detection, and which ones, by type."""
        return {
            "AWS::CloudWatch::Alarm": (self._alarm, _ALARM_PROPERTIES),
            "AWS::CloudWatch::Dashboard": (self._dashboard, frozenset({"DashboardName", "DashboardBody"})),
        }

    def _alarm(self, name: str, declared: dict[str, Any]) -> dict[str, Any] | None:
        alarm = self._cloudwatch._alarms.get(name)
        if alarm is None:
            return None
        live = {member: value for member, value in alarm.items() if value is not None}
        return {**live, "Tags": self._cloudwatch._resource_tags.get(alarm["AlarmArn"], {})}

    def _dashboard(self, name: str, declared: dict[str, Any]) -> dict[str, Any] | None:
        dashboard = self._cloudwatch._dashboards.get(name)
        if dashboard is None:
            return None
        return {**dashboard, "DashboardBody": json_as_declared(declared["DashboardBody"], dashboard["DashboardBody"])}

    def statistics(
        self, scope: Scope, alarm: Mapping[str, Any], periods: Sequence[tuple[float, float]]
    ) -> list[float | None]:
        """Return an alarm's statistic for each of some periods.

        :param scope: its account and region
        :param alarm: the alarm
        :param periods: start and end of each, epoch seconds
        :returns: the values, None for a period without data
        """
        host = self._cloudwatch
        dimensions = host._dims_key(host._dims_from_list(alarm.get("Dimensions") or []))
        metric = alarm["Namespace"], alarm["MetricName"], dimensions
        points = host._metrics._data.get((scope.account_id, scope.region, metric), [])
        unit = alarm.get("Unit")
        recent = [p for p in points if p["Timestamp"] >= periods[0][0] - 1 and unit in (None, "", p["Unit"])]
        statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
        return [
            self._statistic(statistic, [point for point in recent if within(period, point["Timestamp"])])
            for period in periods
        ]

    def series(
        self,
        scope: Scope,
        metric: tuple[str, str, Mapping[str, str]],
        statistic: str,
        span: tuple[float, float],
        period: float,
    ) -> list[tuple[float, float]]:
        """Return a metric's statistic for each period that has data; any thread may ask.

        :param scope: its account and region
        :param metric: namespace, name and dimensions
        :param statistic: such as ``Sum`` or ``p99``
        :param span: start and end, epoch seconds
        :param period: in seconds
        :returns: start of the period and value, the oldest first
        """
        namespace, name, dimensions = metric
        key = scope.account_id, scope.region, (namespace, name, self._cloudwatch._dims_key(dict(dimensions)))
        start, end = span
        found: dict[int, list[dict[str, Any]]] = {}
        for point in self._cloudwatch._metrics._data.get(key, []):
            if start <= point["Timestamp"] < end:
                found.setdefault(int(point["Timestamp"] // period), []).append(point)
        values = [(number * period, self._statistic(statistic, points)) for number, points in sorted(found.items())]
        return [(at, value) for at, value in values if value is not None]

    def _statistic(self, name: str, points: list[dict[str, Any]]) -> float | None:
        statistics = self._cloudwatch._calc_stats(points)
        if not statistics or not (name in statistics or self._cloudwatch._is_percentile_stat(name)):
            return None
        return self._cloudwatch._stat_value(statistics, name, points)

    def change_state(self, scope: Scope, name: str, state: str, why: str, data: str) -> None:
        """Put an alarm into another state, with its history and its actions.

        :param scope: its account and region
        :param name: its name
        :param state: the new state
        :param why: StateReason
        :param data: StateReasonData
        """
        self._responses.set_request_account_id(scope.account_id)
        self._responses.set_request_region(scope.region)
        alarm = self._cloudwatch._alarms[name]
        old = alarm["StateValue"]
        alarm |= {"StateValue": state, "StateReason": why, "StateReasonData": data}
        alarm |= dict.fromkeys(("StateUpdatedTimestamp", "StateTransitionedTimestamp"), time.time())
        self._cloudwatch._record_history(name, old, state, why, reason_data=json.loads(data))
        self._notify(alarm, old, state, why)
        self._cloudwatch._evaluate_parent_alarms(alarm)

    def _notify(self, alarm: Mapping[str, Any], old: str, new: str, why: str) -> None:
        scope = Scope(self._responses.get_account_id(), self._responses.get_region())
        subject, message = notification(scope, alarm, old, new, why, time.time())
        source = alarm.get("AlarmArn") or scope.arn("cloudwatch", f"alarm:{alarm['AlarmName']}")
        for arn in actions_of(alarm, new, "sns"):
            # https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
            if not self._sns.topic_policy_allows(arn, _PRINCIPAL, source, scope.account_id):
                _log.warning("Alarm %s may not publish to %s: the topic's policy does not allow it", source, arn)
                continue
            self._sns._fanout(arn, str(uuid.uuid4()), message, subject)


def _storing_values_together(cloudwatch: Any) -> Callable[..., None]:
    """Store the values of one MetricDatum as one point instead of one each.

    ministack copies and writes all points at each save, which takes seconds for the latencies of an endpoint.

    :param cloudwatch: ministack's CloudWatch
    :returns: what replaces ``_store_datum``
    """
    store = cloudwatch._store_datum

    def stored(
        namespace: str,
        name: str,
        dims: Any,
        ts: float,
        unit: str,
        value: Any,
        values: Any,
        counts: Any,
        statistics: Any,
    ) -> None:
        if not values:
            store(namespace, name, dims, ts, unit, value, values, counts, statistics)
            return
        numbers = [float(item) for item in values]
        times = [float(item) for item in counts or [1.0] * len(numbers)]
        total, count = sum(number * n for number, n in zip(numbers, times, strict=False)), sum(times)
        cloudwatch._metric_bucket((namespace, name, cloudwatch._dims_key(dims))).append(
            {
                "Timestamp": ts,
                "Unit": unit,
                "Dimensions": dims,
                "Value": total / count if count else 0.0,
                "_stat": {"SampleCount": count, "Sum": total, "Minimum": min(numbers), "Maximum": max(numbers)},
                "_values": numbers,
                "_counts": times,
            }
        )

    return stored


def _with_values_together(samples: Callable[..., Any]) -> Callable[..., Any]:
    """Let percentiles use the values that are stored together.

    :param samples: ministack's own, which gives the values of points and how often each occurred, or None
    :returns: what replaces ``samples``
    """

    def sampled(points: list[dict[str, Any]]) -> list[tuple[float, float]] | None:
        together = [point for point in points if "_values" in point]
        apart = [point for point in points if "_values" not in point]
        found = samples(apart) if apart else []
        pairs = [pair for point in together for pair in zip(point["_values"], point["_counts"], strict=False)]
        if found is None or any(value < 0 for value, _ in pairs):
            return None
        return found + [(value, count) for value, count in pairs if count > 0] or None

    return sampled
