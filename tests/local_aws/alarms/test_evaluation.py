"""The state of an alarm by its datapoints, as the tables of AWS's page say it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import json

import pytest

from local_aws.alarms.evaluation import Datapoint, Rule, reason, reason_data, state_of, windows
from local_aws.alarms.ticker import AlarmTicker
from local_aws.framework.store import Scope
from local_aws.settings import Clock
from slipway.model.serving import Alarms

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
SO_FAR = "the state so far"


def rule(periods=3, datapoints=3, missing="missing", comparison="GreaterThanThreshold"):
    return Rule(comparison, 1.0, periods, datapoints, missing)


def values(text):
    """Read a row of AWS's tables: X breaches, 0 does not, - is missing; the newest is the last."""
    return [{"X": 2.0, "0": 0.0, "-": None}[mark] for mark in text.split()]


@pytest.mark.parametrize(
    ("datapoints", "row", "states"),
    [
        (3, "0 - X - X", ("OK", "OK", "OK", "OK")),
        (3, "0 - - - -", ("OK", "OK", "OK", "OK")),
        (3, "- - - - -", ("INSUFFICIENT_DATA", SO_FAR, "ALARM", "OK")),
        (3, "0 X X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (3, "- - X - -", ("ALARM", SO_FAR, "ALARM", "OK")),
        (2, "0 - X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 0 X 0 X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 - X - -", ("OK", "OK", "ALARM", "OK")),
        (2, "- - - - 0", ("OK", "OK", "ALARM", "OK")),
        (2, "- - - X -", ("ALARM", SO_FAR, "ALARM", "OK")),
        # One breaching datapoint, newer than Datapoints to Alarm, is not enough yet.
        (3, "- - - - X", ("OK", SO_FAR, "ALARM", "OK")),
        # More datapoints than periods: the newest three count.
        (3, "X X X X 0", ("OK", "OK", "OK", "OK")),
    ],
)
def test_state_of_three_periods(datapoints, row, states):
    found = tuple(state_of(rule(3, datapoints, missing), values(row), SO_FAR) for missing in TREATMENTS)
    assert found == states


@pytest.mark.parametrize(
    ("comparison", "at_threshold", "above", "below"),
    [
        ("GreaterThanThreshold", "OK", "ALARM", "OK"),
        ("GreaterThanOrEqualToThreshold", "ALARM", "ALARM", "OK"),
        ("LessThanThreshold", "OK", "OK", "ALARM"),
        ("LessThanOrEqualToThreshold", "ALARM", "OK", "ALARM"),
    ],
)
def test_comparisons(comparison, at_threshold, above, below):
    of = rule(1, 1, comparison=comparison)
    assert [state_of(of, [value], "OK") for value in (1.0, 2.0, 0.0)] == [at_threshold, above, below]


def test_rule_is_read_from_the_alarm():
    alarm = {"ComparisonOperator": "LessThanThreshold", "Threshold": 4.0, "EvaluationPeriods": 5}
    assert Rule.of(alarm) == Rule("LessThanThreshold", 4.0, 5, 5, "missing")
    assert Rule.of({**alarm, "DatapointsToAlarm": 2, "TreatMissingData": "ignore"}).datapoints == 2


def test_windows_are_whole_periods_before_a_moment():
    assert windows(200.0, 60, 3) == [(0, 60), (60, 120), (120, 180)]
    assert windows(180.0, 60, 1) == [(120, 180)]
    # A boundary that is a little early by rounding is still the boundary.
    assert windows(0.6 * 7, 0.6, 1) == [pytest.approx((0.6 * 6, 0.6 * 7))]


def test_reasons_are_cloudwatchs():
    points = [Datapoint(0.0, 2.0), Datapoint(60.0, 3.0), Datapoint(120.0, 4.0)]
    assert reason(rule(), points, "OK", "ALARM") == (
        "Threshold Crossed: 3 out of the last 3 datapoints [4.0 (01/01/70 00:02:00), 3.0 (01/01/70 00:01:00), "
        "2.0 (01/01/70 00:00:00)] were greater than the threshold (1.0) "
        "(minimum 3 datapoints for OK -> ALARM transition)."
    )
    calm = [*points[:2], Datapoint(120.0, 0.5)]
    assert reason(rule(), calm, "ALARM", "OK") == (
        "Threshold Crossed: 1 out of the last 3 datapoints [0.5 (01/01/70 00:02:00)] was not greater than the "
        "threshold (1.0) (minimum 1 datapoint for ALARM -> OK transition)."
    )
    assert reason(rule(), [], "OK", "INSUFFICIENT_DATA") == "Insufficient Data: 3 datapoints were unknown."
    assert "3 missing datapoints were treated as [Breaching]" in reason(rule(), [], "OK", "ALARM")


def test_reason_data_holds_the_datapoints():
    alarm = {"EvaluationPeriods": 2, "Statistic": "Average", "ExtendedStatistic": "p99", "Period": 60, "Threshold": 1.0}
    data = json.loads(reason_data(alarm, [Datapoint(60.0 * n, n) for n in range(3)], 200.0))
    assert data["recentDatapoints"] == [1, 2]
    assert data["statistic"] == "p99"
    assert data["startDate"] == "1970-01-01T00:01:00.000+0000"
    assert data["evaluatedDatapoints"][0] == {"timestamp": "1970-01-01T00:02:00.000+0000", "value": 2}


class BadFrom:
    """The host of one alarm, whose metric is bad in every minute after a moment, and put when the minute ends."""

    def __init__(self, begins_at, alarms):
        self.begins_at, self.now, self.state = begins_at, 0.0, "OK"
        self.alarm = {
            "AlarmName": "errors",
            "MetricName": "Invocation5XXErrors",
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0.0,
            "Statistic": "Average",
            "Period": alarms.period_seconds,
            "EvaluationPeriods": alarms.periods,
            "TreatMissingData": "notBreaching",
        }

    def metric_alarms(self):
        return [(Scope("123456789012", "us-west-2"), self.alarm | {"StateValue": self.state})]

    def statistics(self, scope, alarm, periods):
        return [float(start >= self.begins_at) if end <= self.now else None for start, end in periods]

    def change_state(self, scope, name, state, why, data):
        self.state = state

    def seconds_until_alarm(self):
        """Tick each second; return how long after the beginning the alarm went off."""
        ticker = AlarmTicker(self, Clock(), lambda *_: None)
        self.now = self.begins_at
        while self.state != "ALARM":
            ticker.tick(self.now)
            self.now += 1
        return self.now - self.begins_at


@pytest.mark.parametrize("alarms", [{}, {"periods": 2}, {"period_seconds": 300}], ids=str)
def test_a_wait_that_a_model_file_may_have_sees_an_alarm_whenever_it_begins(alarms):
    watched = Alarms.model_validate({"error_5xx_share": 0, **alarms})
    slowest = max(BadFrom(600 + second, watched).seconds_until_alarm() for second in range(watched.period_seconds))
    # Longer than the periods themselves, so they are not enough to wait.
    assert watched.period_seconds * watched.periods < slowest <= watched.seconds_to_fire
