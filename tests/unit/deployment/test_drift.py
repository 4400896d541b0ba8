"""How what is live may differ from its stack, and what is done about each difference."""

import pytest

from slipway.aws.stack_drift import ResourceDrift
from slipway.aws.stacks import Stack
from slipway.deployment.drift import (
    Difference,
    Remedy,
    check_can_be_put_right,
    check_none,
    of_endpoint,
    of_resources,
    of_tags,
)
from slipway.errors import StackFailed
from slipway.states import StackStatus

PARAMETERS = {"EndpointName": "iris", "InitialInstanceCount": "1", "AutoScaling": "false"}
STACK = Stack(
    "s",
    "arn:s",
    StackStatus.UPDATE_COMPLETE,
    parameters=PARAMETERS,
    outputs={"EndpointConfigName": "c1"},
    tags={"slipway:model-prefix": "iris"},
)
SCALED = Stack(
    "s", "arn:s", StackStatus.UPDATE_COMPLETE, parameters=PARAMETERS | {"AutoScaling": "true"}, outputs=STACK.outputs
)


def endpoint(weights=(1.0,), count=1, config="c1", status="InService"):
    variants = [
        {"VariantName": name, "CurrentWeight": weight, "DesiredInstanceCount": count}
        for name, weight in zip(("model-a", "model-b"), weights, strict=False)
    ]
    return {"EndpointConfigName": config, "EndpointStatus": status, "ProductionVariants": variants}


@pytest.mark.parametrize(
    ("stack", "live", "share", "said"),
    [
        (STACK, endpoint(), None, []),
        (STACK, None, None, [("the endpoint iris does not exist", Remedy.MADE_AGAIN)]),
        (
            STACK,
            endpoint(config="c2"),
            None,
            [("the endpoint iris has the configuration c2 instead of c1", Remedy.PERSON)],
        ),
        (STACK, endpoint(count=3), None, [("model-a has 3 instances instead of 1", Remedy.SET_BACK)]),
        # Auto scaling changes the number.
        (SCALED, endpoint(count=3), None, []),
        # Somebody changes it now, auto scaling for instance.
        (STACK, endpoint(count=3, status="Updating"), None, []),
        (STACK, endpoint((0.9, 0.1)), 0.1, []),
        (
            STACK,
            endpoint((0.5, 0.5)),
            0.1,
            [("the model on trial gets 0.5 of the requests instead of 0.1", Remedy.SET_BACK)],
        ),
    ],
)
def test_each_difference_of_an_endpoint_is_named(stack, live, share, said):
    assert [(one.what, one.remedy) for one in of_endpoint(stack, live, share)] == said


def test_an_endpoint_needs_the_tag_by_which_iam_knows_whose_it_is():
    assert list(of_tags(STACK, "arn:e", {"slipway:model-prefix": "iris", "team": "ours"})) == []
    (one,) = of_tags(STACK, "arn:e", {})
    assert one.remedy is Remedy.PERSON
    assert one.fix == "aws sagemaker add-tags --resource-arn arn:e --tags Key=slipway:model-prefix,Value=iris"


ALARM = "AWS::CloudWatch::Alarm"


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        (ResourceDrift("A", ALARM, "slipway-a", deleted=True), ["the alarm slipway-a was deleted"]),
        (
            ResourceDrift("A", ALARM, "slipway-a", properties={"/Threshold": ("0.01", "0.9")}),
            ["Threshold of the alarm slipway-a is 0.9 instead of 0.01"],
        ),
        # The same number, and the same document.
        (ResourceDrift("A", ALARM, "slipway-a", properties={"/Threshold": ("0.01", "0.010")}), []),
        (ResourceDrift("D", "AWS::CloudWatch::Dashboard", "d", properties={"/DashboardBody": ("{\n}", "{}")}), []),
        # A scheduled action has set it, or somebody: scaling.py can tell.
        (
            ResourceDrift("T", "AWS::ApplicationAutoScaling::ScalableTarget", properties={"/MinCapacity": ("1", "2")}),
            [],
        ),
    ],
)
def test_what_cloudformation_finds_is_named(drift, said):
    found = list(of_resources([drift]))
    assert [one.what for one in found] == said
    assert {one.remedy for one in found} <= {Remedy.REVERTED}


def test_a_deployment_stops_at_what_it_cannot_put_right_and_ends_with_nothing_left():
    reverted, left = Difference("an alarm", Remedy.REVERTED), Difference("a tag", Remedy.PERSON, "aws fix")
    check_can_be_put_right([reverted], "s")
    with pytest.raises(StackFailed, match=r"cannot put it right .*: a tag. Fix: run `aws fix`, then clear"):
        check_can_be_put_right([reverted, left], "s")
    check_none([], "s")
    with pytest.raises(StackFailed, match=r"differs from it .*: an alarm; a tag. Fix: run `aws fix`; clear this task"):
        check_none([reverted, left], "s")
