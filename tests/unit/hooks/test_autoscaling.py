"""AutoScalingHook: the targets of one endpoint and of no other."""

import pytest

from slipway.hooks.autoscaling import AutoScalingHook, ScalableTarget
from tests.unit.hooks.stubs import stubbed

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


def test_lists_the_targets_of_the_endpoint_alone(hook):
    found = {"ScalableTargets": [target("iris-production"), target("iris-production-2")]}
    stubbed(hook, "application-autoscaling").add_response("describe_scalable_targets", found)
    assert hook.scalable_targets("iris-production") == [
        ScalableTarget("endpoint/iris-production/variant/model-a", DIMENSION)
    ]


def test_deregistering_what_is_gone_is_no_error(hook):
    stubbed(hook, "application-autoscaling").add_client_error("deregister_scalable_target", "ObjectNotFoundException")
    hook.deregister(ScalableTarget("endpoint/x/variant/model-a", DIMENSION))
