"""The state of an alarm: pure functions of its configuration and its datapoints.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

OK = "OK"
ALARM = "ALARM"
INSUFFICIENT_DATA = "INSUFFICIENT_DATA"

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html, ComparisonOperator. Those
# of anomaly detection need a model of the metric, which does not exist here.
COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
# The evaluation range is larger than EvaluationPeriods; AWS's page shows five datapoints for three periods.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
EXTRA_PERIODS = 2
# A boundary and a timestamp on it may differ by the rounding of floating point.
SLACK_SECONDS = 0.001


@dataclass(frozen=True)
class Rule:
    """The part of an alarm's configuration that decides its state.

    :param periods: EvaluationPeriods, N
    :param datapoints: DatapointsToAlarm, M
    :param missing: TreatMissingData
    """

    comparison: str
    threshold: float
    periods: int
    datapoints: int
    missing: str

    @classmethod
    def of(cls, alarm: Mapping[str, Any]) -> "Rule":
        """Read the rule of an alarm.

        :param alarm: a MetricAlarm
        """
        periods = alarm["EvaluationPeriods"]
        return cls(
            alarm["ComparisonOperator"],
            alarm["Threshold"],
            periods,
            alarm.get("DatapointsToAlarm") or periods,
            alarm.get("TreatMissingData") or "missing",
        )

    @property
    def range(self) -> int:
        """How many periods are evaluated; those beyond EvaluationPeriods replace missing ones."""
        return self.periods + EXTRA_PERIODS

    def breaching(self, value: float) -> bool:
        """Tell whether a datapoint violates the threshold.

        :param value: of the datapoint
        """
        compare, _ = COMPARISONS[self.comparison]
        return compare(value, self.threshold)


@dataclass(frozen=True)
class Datapoint:
    """A metric's statistic over one period.

    :param start: of the period, epoch seconds
    """

    start: float
    value: float


def state_of(rule: Rule, values: Sequence[float | None], state: str) -> str:
    """Evaluate an alarm.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html, whose tables the
    tests repeat.

    :param rule: the alarm's
    :param values: of the periods in the evaluation range, the oldest first; None where there is no datapoint
    :param state: the alarm's state so far
    :returns: its state now
    """
    real = [rule.breaching(value) for value in values if value is not None]
    if len(real) >= rule.periods:
        return ALARM if sum(real[-rule.periods :]) >= rule.datapoints else OK
    filled = rule.periods - len(real)
    if rule.missing == "breaching":
        return ALARM if sum(real) + filled >= rule.datapoints else OK
    if rule.missing == "notBreaching":
        return ALARM if sum(real) >= rule.datapoints else OK
    if rule.missing == "ignore":
        return state if all(real) else _by_real(real, rule)
    if not real:
        return INSUFFICIENT_DATA
    return ALARM if all(real) and _oldest(values) >= rule.datapoints else _by_real(real, rule)


def _by_real(real: Sequence[bool], rule: Rule) -> str:
    return ALARM if sum(real) >= rule.datapoints else OK


def _oldest(values: Sequence[float | None]) -> int:
    """Return how many periods ago the oldest datapoint was, 1 for the latest period.

    If all datapoints breach, an alarm waits until one is as old as Datapoints to Alarm. A single datapoint of a sparse
    metric must not set it off.
    """
    return len(values) - next(place for place, value in enumerate(values) if value is not None)


def windows(end: float, period_seconds: float, count: int) -> list[tuple[float, float]]:
    """Return the last whole periods.

    :param end: of the last one at the latest, epoch seconds
    :param period_seconds: how long each is
    :param count: how many
    :returns: start and end of each, the oldest first
    """
    last = math.floor((end + SLACK_SECONDS) / period_seconds)
    return [(n * period_seconds, (n + 1) * period_seconds) for n in range(last - count, last)]


def reason(rule: Rule, points: Sequence[Datapoint], old: str, new: str) -> str:
    """Write the reason of an alarm's state, as CloudWatch does.

    :param rule: the alarm's
    :param points: the datapoints it was evaluated by, the oldest first
    :param old: the state before
    :param new: the state now
    :returns: the StateReason
    """
    if new == INSUFFICIENT_DATA:
        return f"Insufficient Data: {_counted(rule.periods)} {'was' if rule.periods == 1 else 'were'} unknown."
    recent = points[-rule.periods :]
    decisive = [point for point in recent if rule.breaching(point.value) == (new == ALARM)]
    if not decisive:
        treated = "[Breaching]" if new == ALARM else "[NonBreaching]"
        return f"Threshold Crossed: no datapoints were received for {_periods(rule)} and {_missing(rule)} {treated}."
    _, words = COMPARISONS[rule.comparison]
    shown = ", ".join(f"{point.value} ({_short(point.start)})" for point in reversed(decisive))
    minimum = rule.datapoints if new == ALARM else rule.periods - rule.datapoints + 1
    verb = ("was" if len(decisive) == 1 else "were") + ("" if new == ALARM else " not")
    return (
        f"Threshold Crossed: {len(decisive)} out of the last {_counted(rule.periods)} [{shown}] {verb} {words} the"
        f" threshold ({rule.threshold}) (minimum {_counted(minimum)} for {old} -> {new} transition)."
    )


def reason_data(alarm: Mapping[str, Any], points: Sequence[Datapoint], now: float) -> str:
    """Write the datapoints that decided the state, as CloudWatch does.

    :param alarm: a MetricAlarm
    :param points: the datapoints it was evaluated by, the oldest first
    :param now: when, epoch seconds
    :returns: the StateReasonData, JSON
    """
    recent = list(points[-alarm["EvaluationPeriods"] :])
    return json.dumps(
        {
            "version": "1.0",
            "queryDate": iso(now),
            **({"startDate": iso(recent[0].start)} if recent else {}),
            "statistic": alarm.get("ExtendedStatistic") or alarm.get("Statistic"),
            "period": alarm["Period"],
            "recentDatapoints": [point.value for point in recent],
            "threshold": alarm["Threshold"],
            "evaluatedDatapoints": [
                {"timestamp": iso(point.start), "value": point.value} for point in reversed(recent)
            ],
        }
    )


def iso(epoch: float) -> str:
    """Write a time as CloudWatch does in its JSON.

    :param epoch: seconds
    :returns: such as ``2026-01-31T12:00:00.000+0000``
    """
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def _short(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%d/%m/%y %H:%M:%S")


def _counted(number: int) -> str:
    return f"{number} datapoint" if number == 1 else f"{number} datapoints"


def _periods(rule: Rule) -> str:
    return f"{rule.periods} period" if rule.periods == 1 else f"{rule.periods} periods"


def _missing(rule: Rule) -> str:
    return (
        f"{rule.periods} missing datapoint was treated as"
        if rule.periods == 1
        else (f"{rule.periods} missing datapoints were treated as")
    )
