"""ministack's CloudWatch: its alarms, which `local_aws.alarms` evaluates by the metrics of `local_aws.metrics`."""

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_aws.alarms.actions import actions_of, notification
from local_aws.alarms.evaluation import SLACK_SECONDS
from local_aws.framework.live_properties import json_as_declared
from local_aws.framework.store import Scope
from local_aws.metrics.reading import Asked, datapoints
from local_aws.metrics.store import Metric, MetricStore

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
        "_dispatch_alarm_actions",
        "_evaluate_alarm",
        "_evaluate_parent_alarms",
        "_record_history",
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
    """ministack's alarms, without its own evaluation, which knows neither periods nor dimensions.

    Use it on the event loop's thread only.

    :param modules: ministack's modules by name
    :param metrics: what the alarms watch
    """

    def __init__(self, modules: Mapping[str, Any], metrics: MetricStore) -> None:
        self._metrics = metrics
        self._cloudwatch = cloudwatch = modules["ministack.services.cloudwatch"]
        self._sns = modules["ministack.services.sns"]
        self._responses = modules["ministack.core.responses"]
        # ministack's own code would change an alarm on any PutMetricData, and send SNS another text than AWS's.
        cloudwatch._evaluate_alarm = lambda alarm: None
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
        :param periods: start and end of each, epoch seconds; each begins where the one before ends
        :returns: the values, None for a period without data
        """
        dimensions = {one["Name"]: one.get("Value", "") for one in alarm.get("Dimensions") or []}
        metric = Metric.of(scope, alarm["Namespace"], alarm["MetricName"], dimensions)
        start, period = periods[0][0] - SLACK_SECONDS, periods[0][1] - periods[0][0]
        asked = Asked(metric, start, periods[-1][1] - SLACK_SECONDS, period, alarm.get("Unit") or None, start)
        statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
        found = {
            round((one.start - start) / period): one.statistics.get(statistic)
            for one in datapoints(self._metrics, asked, [statistic])
        }
        return [found.get(place) for place in range(len(periods))]

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
        asked = Asked(Metric.of(scope, *metric), *span, period)
        return [
            (one.start, one.statistics[statistic])
            for one in datapoints(self._metrics, asked, [statistic])
            if statistic in one.statistics
        ]

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
