"""Whether a stack's variants are scaled as the stack says: somebody may have deregistered or changed them by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from slipway.aws.autoscaling import AutoScalingHook, VariantScaling
from slipway.aws.stacks import Stack
from slipway.deployment.parameters import SCALING_SUSPENDED
from slipway.model.serving import MAX_SCHEDULES
from slipway.names import LIVE_VARIANT, TRIAL_VARIANT

# The parameters of the template, and the members of a target tracking policy that they become.
# https://docs.aws.amazon.com/autoscaling/application/APIReference/API_TargetTrackingScalingPolicyConfiguration.html
_POLICY = {
    "ScalingTargetValue": "TargetValue",
    "ScaleInCooldownSeconds": "ScaleInCooldown",
    "ScaleOutCooldownSeconds": "ScaleOutCooldown",
}


def drift(stack: Stack, autoscaling: AutoScalingHook) -> list[str]:
    """Find how the variants are scaled otherwise than their stack says.

    :param stack: a stack of endpoint.yaml
    :param autoscaling: Application Auto Scaling
    :returns: one clause for each difference; none while the stack changes, and where it scales nothing
    :raises slipway.errors.AwsError: when a call fails
    """
    variants = scaled_variants(stack.parameters)
    if not variants or stack.status.in_progress:
        return []
    return differences(stack.parameters, autoscaling.scaling(stack.parameters["EndpointName"], variants))


def scaled_variants(parameters: Mapping[str, str]) -> list[str]:
    """Return the variants that a stack with these parameters scales.

    :param parameters: the stack's parameters
    :returns: variant names; none without auto scaling, and while it is suspended
    """
    if parameters.get("AutoScaling") != "true" or parameters.get(SCALING_SUSPENDED) == "true":
        return []
    return [LIVE_VARIANT, *([TRIAL_VARIANT] if parameters.get("ModelBDataUrl") else [])]


def differences(parameters: Mapping[str, str], live: Iterable[VariantScaling]) -> list[str]:
    """Compare how variants are scaled with what their stack says.

    What people have added, such as a policy of their own, is left alone.

    :param parameters: the stack's parameters
    :param live: what Application Auto Scaling says of the variants that the stack scales
    :returns: one clause for each difference
    """
    return [difference for one in live for difference in _differences(parameters, one)]


def _differences(parameters: Mapping[str, str], live: VariantScaling) -> Iterator[str]:
    if live.minimum is None:
        yield f"{live.variant} is not registered as a scalable target"
        return
    schedules = dict(_schedules(parameters))
    # A scheduled action changes the bounds when it is due.
    # https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-scheduled-scaling.html
    if not schedules:
        wanted = int(parameters["ScalingMinCapacity"]), int(parameters["ScalingMaxCapacity"])
        if (live.minimum, live.maximum) != wanted:
            yield f"{live.variant} has {live.minimum} to {live.maximum} instances instead of {wanted[0]} to {wanted[1]}"
    name = f"{parameters['EndpointName']}-{live.variant}"
    policy = live.policies.get(name)
    if policy is None:
        yield f"{live.variant} has lost its scaling policy {name}"
    else:
        for parameter, member in _POLICY.items():
            if float(policy.get(member, 0)) != float(parameters[parameter]):
                yield f"{member} of the policy {name} is {policy.get(member)} instead of {parameters[parameter]}"
    for name, wanted_action in schedules.items():
        action = live.schedules.get(name)
        if action is None:
            yield f"{live.variant} has lost its scheduled action {name}"
        elif _text(action) != wanted_action:
            yield f"the scheduled action {name} of {live.variant} is {_text(action)} instead of {wanted_action}"


def _schedules(parameters: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for number in range(1, MAX_SCHEDULES + 1):
        name, _, rest = parameters.get(f"ScalingSchedule{number}", "").partition("|")
        if name:
            yield name, rest


def _text(action: Mapping[str, Any]) -> str:
    """Write a scheduled action as the template's parameter has it, without the name."""
    bounds = action.get("ScalableTargetAction", {})
    members = (
        action.get("Schedule"),
        action.get("Timezone", "UTC"),
        bounds.get("MinCapacity"),
        bounds.get("MaxCapacity"),
    )
    return "|".join(map(str, members))
