"""How auto scaling may differ from what the stack says."""

from dataclasses import replace

import pytest

from slipway.aws.autoscaling import VariantScaling
from slipway.deployment.scaling import differences, scaled_variants

STACK = {
    "EndpointName": "iris-model-production",
    "AutoScaling": "true",
    "ScalingMinCapacity": "1",
    "ScalingMaxCapacity": "4",
    "ScalingTargetValue": "200",
    "ScaleInCooldownSeconds": "300",
    "ScaleOutCooldownSeconds": "60",
    "ScalingSchedule1": "",
}
NIGHT = STACK | {"ScalingSchedule1": "night|cron(0 20 * * ? *)|Europe/Berlin|1|2"}
POLICY = {"TargetValue": 200.0, "ScaleInCooldown": 300, "ScaleOutCooldown": 60}
ACTION = {
    "Schedule": "cron(0 20 * * ? *)",
    "Timezone": "Europe/Berlin",
    "ScalableTargetAction": {"MinCapacity": 1, "MaxCapacity": 2},
}
LIVE = VariantScaling("model-a", 1, 4, {"iris-model-production-model-a": POLICY}, {})


@pytest.mark.parametrize(
    ("stack", "live", "said"),
    [
        (STACK, LIVE, []),
        (STACK, replace(LIVE, minimum=None), ["model-a is not registered as a scalable target"]),
        (STACK, replace(LIVE, maximum=9), ["model-a has 1 to 9 instances instead of 1 to 4"]),
        (STACK, replace(LIVE, policies={}), ["model-a has lost its scaling policy iris-model-production-model-a"]),
        (
            STACK,
            replace(LIVE, policies={"iris-model-production-model-a": POLICY | {"TargetValue": 50.0}}),
            ["TargetValue of the policy iris-model-production-model-a is 50.0 instead of 200"],
        ),
        # People may add to it.
        (STACK, replace(LIVE, policies=LIVE.policies | {"mine": {}}, schedules={"mine": {}}), []),
        # A scheduled action that was due has changed the bounds.
        (NIGHT, replace(LIVE, maximum=2, schedules={"night": ACTION}), []),
        (NIGHT, LIVE, ["model-a has lost its scheduled action night"]),
        (
            NIGHT,
            replace(LIVE, schedules={"night": ACTION | {"Schedule": "rate(1 day)"}}),
            [
                "the scheduled action night of model-a is rate(1 day)|Europe/Berlin|1|2 instead of "
                "cron(0 20 * * ? *)|Europe/Berlin|1|2"
            ],
        ),
    ],
)
def test_each_difference_is_named(stack, live, said):
    assert differences(stack, [live]) == said


def test_what_a_stack_scales():
    assert scaled_variants(STACK) == ["model-a"]
    assert scaled_variants(STACK | {"ModelBDataUrl": "s3://b/m.tar.gz"}) == ["model-a", "model-b"]
    assert scaled_variants(STACK | {"ScalingSuspended": "true"}) == []
    assert scaled_variants({"AutoScaling": "false"}) == []
