"""How many instances a policy wants, by tables of situations.

https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
"""

import pytest

from local_aws.autoscaling.alarms import requests
from local_aws.autoscaling.capacity import STAY, Decision, Situation, bounded, stepped, tracked

NOTHING_SUSPENDED = {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False}
OUT_SUSPENDED = {"DynamicScalingOutSuspended": True}
IN_SUSPENDED = {"DynamicScalingInSuspended": True}
TRACKING = {"TargetValue": 100.0}


def situation(capacity, minimum=1, maximum=10, suspended=NOTHING_SUSPENDED, **cooldown):
    return Situation(capacity, minimum, maximum, suspended, **cooldown)


@pytest.mark.parametrize(
    ("datapoints", "at", "decision"),
    [
        # The number that brings the metric to its target, rounded up.
        ([101], situation(1), Decision(2)),
        ([250], situation(2), Decision(5)),
        ([150], situation(2), Decision(3)),
        ([300.0], situation(1), Decision(3)),
        # The newest datapoint counts.
        ([900, 500, 210], situation(1), Decision(3)),
        ([900], situation(2), Decision(10)),
        ([900], situation(10), Decision(code="AlreadyAtMaxCapacity")),
        ([200], situation(1, minimum=3), Decision(3)),
        ([900], situation(2, suspended=OUT_SUSPENDED), STAY),
        ([900], situation(2, suspended=IN_SUSPENDED), Decision(10)),
        ([100], situation(2), Decision(code="AlreadyAtDesiredCapacity")),
        ([], situation(2), STAY),
        # Scaled out from 2 to 5, during the cooldown: what was added counts towards the next capacity.
        ([250], situation(5, scaled_out_from=2), STAY),
        ([400], situation(5, scaled_out_from=2), Decision(8)),
        # A scale-in's cooldown does not delay a scale-out.
        ([250], situation(2, scale_in_cools_down=True), Decision(5)),
    ],
)
def test_above_the_target(datapoints, at, decision):
    assert tracked(TRACKING, True, datapoints, at) == decision


@pytest.mark.parametrize(
    ("datapoints", "at", "configuration", "decision"),
    [
        ([10, 10], situation(10), {}, Decision(1)),
        # The highest datapoint counts.
        ([10, 45, 10], situation(4), {}, Decision(2)),
        ([0], situation(4), {}, Decision(1)),
        ([0], situation(4, minimum=2), {}, Decision(2)),
        ([0], situation(2, minimum=2), {}, Decision(code="AlreadyAtMinCapacity")),
        # With one instance fewer the metric would be above the target again.
        ([80], situation(2), {}, Decision(code="AutoScalingAnticipatedFlapping")),
        ([10], situation(4), {"DisableScaleIn": True}, STAY),
        ([10], situation(4, suspended=IN_SUSPENDED), {}, STAY),
        ([10], situation(4, suspended=OUT_SUSPENDED), {}, Decision(1)),
        ([10], situation(4, scale_in_cools_down=True), {}, STAY),
        ([10], situation(4, scaled_out_from=1), {}, Decision(1)),
        # A variant keeps one instance, whatever the target's minimum.
        ([0], situation(2, minimum=0), {}, Decision(1)),
    ],
)
def test_below_the_target(datapoints, at, configuration, decision):
    assert tracked(TRACKING | configuration, False, datapoints, at) == decision


@pytest.mark.parametrize(
    ("capacity", "minimum", "maximum", "wanted"), [(1, 2, 4, 2), (5, 2, 4, 4), (3, 2, 4, 3), (1, 0, 0, 1)]
)
def test_new_bounds(capacity, minimum, maximum, wanted):
    assert bounded(situation(capacity, minimum, maximum)) == wanted


CHANGE = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 20, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 20, "ScalingAdjustment": 3},
        {"MetricIntervalUpperBound": 0, "ScalingAdjustment": -1},
    ],
}
PERCENT = {
    "AdjustmentType": "PercentChangeInCapacity",
    "StepAdjustments": [
        {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 25},
        {"MetricIntervalUpperBound": 0, "ScalingAdjustment": -25},
    ],
}
EXACT = {
    "AdjustmentType": "ExactCapacity",
    "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 6}],
}


@pytest.mark.parametrize(
    ("configuration", "datapoint", "at", "decision"),
    [
        # The threshold is 100; a bound is inclusive towards it.
        (CHANGE, 100, situation(2), Decision(3)),
        (CHANGE, 119, situation(2), Decision(3)),
        (CHANGE, 120, situation(2), Decision(5)),
        (CHANGE, 50, situation(2), Decision(1)),
        (CHANGE, 50, situation(1), Decision(code="AlreadyAtMinCapacity")),
        (CHANGE, 150, situation(10), Decision(code="AlreadyAtMaxCapacity")),
        (CHANGE, 150, situation(9), Decision(10)),
        # 2 were added and are in cooldown, so a step of 3 adds one more.
        (CHANGE, 110, situation(4, scaled_out_from=3), STAY),
        (CHANGE, 130, situation(4, scaled_out_from=3), Decision(6)),
        (CHANGE, 150, situation(2, suspended=OUT_SUSPENDED), STAY),
        (CHANGE, 50, situation(3, scale_in_cools_down=True), STAY),
        # 25 % of 2 is 1 at least, and of 7 it is 1 at most.
        (PERCENT, 150, situation(2), Decision(3)),
        (PERCENT, 150, situation(7), Decision(8)),
        (PERCENT, 50, situation(9), Decision(7)),
        (PERCENT | {"MinAdjustmentMagnitude": 2}, 150, situation(2), Decision(4)),
        (EXACT, 150, situation(2), Decision(6)),
        (EXACT, 50, situation(2), STAY),
    ],
)
def test_steps(configuration, datapoint, at, decision):
    assert stepped(configuration, datapoint, 100.0, at) == decision


def test_the_alarms_of_a_customized_metric():
    metric = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "ModelLatency",
        "Statistic": "Average",
        "Unit": "Microseconds",
        "Dimensions": [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v"}],
    }
    policy = {
        "ResourceId": "endpoint/e/variant/v",
        "PolicyARN": "arn:p",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50.0, "CustomizedMetricSpecification": metric},
    }
    high, low = requests(policy, [])
    assert {member: high[member] for member in metric} == metric
    assert (high["Threshold"], high["ComparisonOperator"]) == (50.0, "GreaterThanThreshold")
    assert (low["Threshold"], low["ComparisonOperator"]) == (45.0, "LessThanThreshold")
    assert [alarm["AlarmName"] for alarm in requests(policy, ["h", "l"])] == ["h", "l"]
