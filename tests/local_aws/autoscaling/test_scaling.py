"""An endpoint that scales by its alarms, under a load that must not fail; AWS's minutes take a second."""

import json
import math
import re

import pytest

from tests.local_aws.load import Load
from tests.local_aws.sagemaker_cases import IMAGE, ROLE, ROWS, model_data, unique, wait_for_endpoint
from tests.local_aws.server import LocalAws, eventually

pytestmark = pytest.mark.local_aws

SCALE = 60
TARGET = 5.0
DIMENSION = "sagemaker:variant:DesiredInstanceCount"


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    running = LocalAws(tmp_path_factory.mktemp("scaling") / "state", "--time-scale", str(SCALE)).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def scaling(aws):
    return aws.client("application-autoscaling")


@pytest.fixture
def endpoint(aws):
    sagemaker, name = aws.client("sagemaker"), unique("scaled")
    container = {"Image": IMAGE, "ModelDataUrl": model_data(aws)}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"ModelName": name, "VariantName": "a", "InitialInstanceCount": 1, "InstanceType": "ml.m4.xlarge"}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert wait_for_endpoint(aws, name)["EndpointStatus"] == "InService"
    yield name
    wait_for_endpoint(aws, name)
    # Its target, policies, alarms and actions go with it.
    sagemaker.delete_endpoint(EndpointName=name)


def of(endpoint):
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/a",
        "ScalableDimension": DIMENSION,
    }


def count(aws, endpoint):
    (variant,) = aws.client("sagemaker").describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    return variant["CurrentInstanceCount"]


def activities(scaling, endpoint, **more):
    """Return the activities, the oldest first."""
    return scaling.describe_scaling_activities(**of(endpoint), **more)["ScalingActivities"][::-1]


def track(scaling, endpoint, **configuration):
    return scaling.put_scaling_policy(
        PolicyName="track",
        **of(endpoint),
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": TARGET,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            **configuration,
        },
    )


def test_out_and_in_again_under_load(aws, scaling, endpoint):
    scaling.register_scalable_target(**of(endpoint), MinCapacity=1, MaxCapacity=4)
    policy = track(scaling, endpoint, ScaleOutCooldown=0, ScaleInCooldown=60)
    high, low = (alarm["AlarmName"] for alarm in policy["Alarms"])
    with Load(aws, endpoint, ROWS[1], rate=20) as load:
        # 20 requests in one of AWS's minutes, four times the target.
        eventually(lambda: count(aws, endpoint), lambda instances: instances >= 3)
        load.rate = 2
        eventually(lambda: count(aws, endpoint), lambda instances: instances == 1)
    assert set(load.statuses) == {200}, load.statuses
    assert set(load.bodies) == {"1.0"}

    done = eventually(lambda: activities(scaling, endpoint), lambda found: found[-1]["StatusCode"] != "InProgress")
    out = done[0]
    assert out["Cause"] == f"monitor alarm {high} in state ALARM triggered policy track"
    datapoints = datapoints_of(aws, high)
    wanted = min(4, math.ceil(datapoints[-1] / TARGET))
    assert out["Description"] == f"Setting desired instance count to {wanted}."
    assert {activity["StatusCode"] for activity in done} == {"Successful"}
    assert out["StatusMessage"] == (
        f"Successfully set desired instance count to {wanted}. Change successfully fulfilled by sagemaker."
    )
    assert out["StartTime"] <= out["EndTime"]
    assert done[-1]["Description"] == "Setting desired instance count to 1."
    assert done[-1]["Cause"] == f"monitor alarm {low} in state ALARM triggered policy track"
    calls = aws.ledger(operation="UpdateEndpointWeightsAndCapacities", resource=endpoint)
    assert len(calls) == len(done)
    assert {call["caller"].split("/")[1] for call in calls} == {
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    }


def test_bounds_and_schedules_scale_at_once(aws, scaling, endpoint):
    scaling.register_scalable_target(**of(endpoint), MinCapacity=2, MaxCapacity=3)
    eventually(lambda: count(aws, endpoint), lambda instances: instances == 2)
    (first,) = activities(scaling, endpoint)
    assert first["Cause"] == "minimum capacity was set to 2"
    action = {"ScheduledActionName": "more", "ScalableTargetAction": {"MinCapacity": 3}}
    scaling.put_scheduled_action(**of(endpoint), **action, Schedule="rate(2 minutes)")
    (described,) = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    assert described["ScheduledActionARN"].endswith(
        f":resource/sagemaker/endpoint/{endpoint}/variant/a:scheduledActionName/more"
    )
    eventually(lambda: count(aws, endpoint), lambda instances: instances == 3)
    scaling.delete_scheduled_action(**of(endpoint), ScheduledActionName="more")
    done = {activity["Cause"]: activity for activity in activities(scaling, endpoint)}
    triggered = done["scheduled action name more was triggered"]
    assert triggered["StatusMessage"] == "Successfully set min capacity to 3 and max capacity to 3"
    assert "minimum capacity was set to 3" in done
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 3)


def test_what_is_not_scaled_says_why(aws, scaling, endpoint):
    """At its maximum, suspended, and then free to scale: the alarm invokes the policy each minute."""
    scaling.register_scalable_target(**of(endpoint), MinCapacity=1, MaxCapacity=1)
    track(scaling, endpoint, ScaleOutCooldown=0)
    with Load(aws, endpoint, ROWS[1], rate=20):
        (unscaled,) = eventually(lambda: activities(scaling, endpoint, IncludeNotScaledActivities=True), len)
        assert unscaled["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 1}]
        assert activities(scaling, endpoint) == []
        suspended = {"DynamicScalingOutSuspended": True}
        scaling.register_scalable_target(**of(endpoint), MaxCapacity=2, SuspendedState=suspended)
        marker = len(aws.ledger(operation="DescribeEndpoint", resource=endpoint))
        # Three more invocations change nothing.
        eventually(lambda: len(aws.ledger(operation="DescribeEndpoint", resource=endpoint)), lambda n: n > marker + 3)
        assert count(aws, endpoint) == 1
        scaling.register_scalable_target(**of(endpoint), SuspendedState={"DynamicScalingOutSuspended": False})
        eventually(lambda: count(aws, endpoint), lambda instances: instances == 2)


def test_deregistering_takes_alarms_and_actions_along(aws, scaling, endpoint):
    scaling.register_scalable_target(**of(endpoint), MinCapacity=1, MaxCapacity=2)
    names = [alarm["AlarmName"] for alarm in track(scaling, endpoint)["Alarms"]]
    assert [name.partition(endpoint)[2][:20] for name in names] == ["/variant/a-AlarmHigh", "/variant/a-AlarmLow-"]
    scaling.put_scheduled_action(
        **of(endpoint),
        ScheduledActionName="night",
        Schedule="cron(0 22 ? * MON-FRI *)",
        Timezone="Europe/Berlin",
        ScalableTargetAction={"MaxCapacity": 1},
    )
    high, low = (alarm_named(aws, name) for name in names)
    assert (high["Threshold"], high["EvaluationPeriods"], high["Period"], high["Statistic"]) == (TARGET, 3, 60, "Sum")
    assert (low["Threshold"], low["EvaluationPeriods"], low["Period"]) == (0.9 * TARGET, 15, 60)
    track(scaling, endpoint, TargetValue=10.0)
    assert alarm_named(aws, names[0])["Threshold"] == 10.0
    scaling.deregister_scalable_target(**of(endpoint))
    assert [alarm_named(aws, name) for name in names] == [None, None]
    identity = {"ServiceNamespace": "sagemaker", "ResourceId": of(endpoint)["ResourceId"]}
    assert scaling.describe_scheduled_actions(**identity)["ScheduledActions"] == []


@pytest.mark.parametrize(
    ("schedule", "action", "message"),
    [
        ("hourly", {"MinCapacity": 1}, "Invalid schedule: hourly is not an at(), rate() or cron() expression"),
        ("rate(1 minute)", {"MinCapacity": 3, "MaxCapacity": 2}, "Maximum capacity cannot be less than minimum"),
        ("rate(1 minute)", {}, "At least one of MinCapacity and MaxCapacity"),
    ],
)
def test_bad_scheduled_actions_are_refused(scaling, endpoint, schedule, action, message):
    scaling.register_scalable_target(**of(endpoint), MinCapacity=1, MaxCapacity=2)
    with pytest.raises(scaling.exceptions.ValidationException, match=re.escape(message)):
        scaling.put_scheduled_action(
            **of(endpoint), ScheduledActionName="x", Schedule=schedule, ScalableTargetAction=action
        )


def alarm_named(aws, name):
    found = aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found[0] if found else None


def datapoints_of(aws, alarm):
    """Return the datapoints of an alarm when it went off first."""
    history = aws.client("cloudwatch").describe_alarm_history(AlarmName=alarm, ScanBy="TimestampAscending")
    changes = [json.loads(item["HistoryData"]) for item in history["AlarmHistoryItems"]]
    (first, *_) = (change for change in changes if change["newState"]["stateValue"] == "ALARM")
    return first["newState"]["stateReasonData"]["recentDatapoints"]
