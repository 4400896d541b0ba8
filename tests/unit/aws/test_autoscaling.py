"""AutoScalingHook: the targets of one endpoint and of no other."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.aws.autoscaling import AutoScalingHook, ScalableTarget
from tests.unit.aws.stubs import stubbed

DIMENSION = "sagemaker:variant:DesiredInstanceCount"


def target(endpoint: str) -> dict:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/model-a",
        "ScalableDimension": DIMENSION,
        "MinCapacity": 1,
        "MaxCapacity": 2,
        "RoleARN": "arn",
        "CreationTime": 0,
    }


@pytest.fixture
def hook():
    return AutoScalingHook(aws_conn_id=None, region_name="us-west-2")


def test_asks_for_the_targets_of_the_endpoint_alone(hook):
    found, asked = {"ScalableTargets": [target("iris-production")]}, ["endpoint/iris-production/variant/model-a"]
    stubbed(hook, "application-autoscaling").add_response(
        "describe_scalable_targets", found, {"ServiceNamespace": "sagemaker", "ResourceIds": asked}
    )
    assert hook.scalable_targets("iris-production", ["model-a"]) == [
        ScalableTarget("endpoint/iris-production/variant/model-a", DIMENSION)
    ]


def test_deregistering_what_is_gone_is_no_error(hook):
    stubbed(hook, "application-autoscaling").add_client_error("deregister_scalable_target", "ObjectNotFoundException")
    hook.deregister(ScalableTarget("endpoint/x/variant/model-a", DIMENSION))


def test_activities_are_those_of_the_variants_and_of_the_time(hook):
    start = datetime(2026, 5, 2, 8, tzinfo=UTC)

    def activity(minute: int, variant: str = "model-a", lasts: int | None = 1) -> dict:
        began = start + timedelta(minutes=minute)
        return {
            "ActivityId": f"{variant}-{minute}",
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/iris/variant/{variant}",
            "ScalableDimension": DIMENSION,
            "Description": f"at {minute}",
            "Cause": "an alarm",
            "StartTime": began,
            **({"EndTime": began + timedelta(minutes=lasts)} if lasts is not None else {}),
            "StatusCode": "Successful" if lasts is not None else "InProgress",
        }

    listed = [activity(61), activity(30, lasts=None), activity(10), activity(-5), activity(-1)]
    first, second = (
        {"ServiceNamespace": "sagemaker", "ResourceId": f"endpoint/iris/variant/{variant}"}
        for variant in ("model-a", "model-b")
    )
    stub = stubbed(hook, "application-autoscaling")
    stub.add_response("describe_scaling_activities", {"ScalingActivities": listed[:2], "NextToken": "t"}, first)
    stub.add_response("describe_scaling_activities", {"ScalingActivities": listed[2:]}, {**first, "NextToken": "t"})
    stub.add_response("describe_scaling_activities", {"ScalingActivities": [activity(20, "model-b")]}, second)
    found = hook.activities("iris", ["model-a", "model-b"], start, start + timedelta(hours=1))
    # One that ends as the time begins is part of it; one that goes on has no end.
    assert [one.description for one in found] == ["at -1", "at 10", "at 20", "at 30"]
    assert (found[-1].ended, found[-1].status) == (None, "InProgress")
    stub.assert_no_pending_responses()
