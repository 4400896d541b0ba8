"""How many instances a policy wants: pure functions.

https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html, Define
# cooldown periods: the default for SageMaker endpoint variants, in seconds.
DEFAULT_COOLDOWN_SECONDS = 300
# A rounding error of floating point must not add an instance.
_SLACK = 1e-9


@dataclass(frozen=True)
class Situation:
    """What is known when a policy is invoked.

    :param capacity: the desired instance count
    :param minimum: of the scalable target
    :param maximum: of the scalable target
    :param suspended: the scalable target's SuspendedState
    :param scaled_out_from: the capacity before the last scale-out during its cooldown; else None
    :param scale_in_cools_down: whether the last scale-in's cooldown is running
    """

    capacity: int
    minimum: int
    maximum: int
    suspended: Mapping[str, bool]
    scaled_out_from: int | None = None
    scale_in_cools_down: bool = False


@dataclass(frozen=True)
class Decision:
    """A policy's decision.

    :param capacity: the new one; None to leave it as it is
    :param code: code of the NotScaledReason; None where AWS gives none, as for a cooldown
    """

    capacity: int | None = None
    code: str | None = None


STAY = Decision()


def tracked(
    configuration: Mapping[str, Any], high: bool, datapoints: Sequence[float], situation: Situation
) -> Decision:
    """Decide by a target tracking policy.

    :param configuration: TargetTrackingScalingPolicyConfiguration
    :param high: whether the alarm above the target went off, not the one below it
    :param datapoints: of the metric, those the alarm was evaluated by, the oldest first
    :param situation: of the scalable target
    :returns: the decision
    """
    if not datapoints:
        return STAY
    target = configuration["TargetValue"]
    if high:
        return _tracked_out(datapoints[-1] / target, situation)
    if configuration.get("DisableScaleIn"):
        return STAY
    # The highest of the low datapoints, to be cautious when scaling in.
    return _tracked_in(max(datapoints) / target, situation)


def _tracked_out(ratio: float, situation: Situation) -> Decision:
    if situation.suspended.get("DynamicScalingOutSuspended"):
        return STAY
    # "While the cooldown period is in effect, the capacity that has been added by the initiating scale-out activity is
    # calculated as part of the desired capacity for the next scale-out activity": only a larger one goes on.
    base = situation.capacity if situation.scaled_out_from is None else situation.scaled_out_from
    wanted = min(math.ceil(base * ratio - _SLACK), situation.maximum)
    if wanted > situation.capacity:
        return Decision(max(wanted, situation.minimum))
    if situation.capacity >= situation.maximum:
        return Decision(code="AlreadyAtMaxCapacity")
    return STAY if situation.scaled_out_from is not None else Decision(code="AlreadyAtDesiredCapacity")


def _tracked_in(ratio: float, situation: Situation) -> Decision:
    if situation.suspended.get("DynamicScalingInSuspended") or situation.scale_in_cools_down:
        return STAY
    wanted = max(math.ceil(situation.capacity * ratio - _SLACK), situation.minimum, 1)
    if wanted < situation.capacity:
        return Decision(min(wanted, situation.maximum))
    if situation.capacity <= situation.minimum:
        return Decision(code="AlreadyAtMinCapacity")
    # With one instance fewer the metric would exceed the target again.
    return Decision(code="AutoScalingAnticipatedFlapping")


def bounded(situation: Situation) -> int:
    """Return the capacity within new bounds.

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_ScalableTargetAction.html

    :param situation: of the scalable target
    :returns: the capacity; at least one, which a variant must have
    """
    return max(min(situation.capacity, situation.maximum), situation.minimum, 1)


def stepped(configuration: Mapping[str, Any], datapoint: float, threshold: float, situation: Situation) -> Decision:
    """Decide by a step scaling policy.

    https://docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html

    :param configuration: StepScalingPolicyConfiguration
    :param datapoint: the metric's newest
    :param threshold: of the alarm
    :param situation: of the scalable target
    :returns: the decision
    """
    breach = datapoint - threshold
    step = next((s for s in configuration.get("StepAdjustments", []) if _holds(s, breach)), None)
    if step is None:
        return STAY
    base = situation.capacity
    if step["ScalingAdjustment"] > 0 and situation.scaled_out_from is not None:
        base = situation.scaled_out_from
    wanted = _adjusted(configuration, step["ScalingAdjustment"], base)
    wanted = max(min(wanted, situation.maximum), situation.minimum, 1)
    if wanted > situation.capacity:
        return STAY if situation.suspended.get("DynamicScalingOutSuspended") else Decision(wanted)
    if wanted < situation.capacity and base == situation.capacity:
        held = situation.suspended.get("DynamicScalingInSuspended") or situation.scale_in_cools_down
        return STAY if held else Decision(wanted)
    if wanted == situation.capacity == situation.maximum:
        return Decision(code="AlreadyAtMaxCapacity")
    return Decision(code="AlreadyAtMinCapacity") if wanted == situation.capacity == situation.minimum else STAY


def _holds(step: Mapping[str, Any], breach: float) -> bool:
    """Tell whether a step contains a difference; its bounds are inclusive towards the threshold, else exclusive."""
    lower = step.get("MetricIntervalLowerBound", -math.inf)
    upper = step.get("MetricIntervalUpperBound", math.inf)
    return lower <= breach < upper if breach >= 0 else lower < breach <= upper


def _adjusted(configuration: Mapping[str, Any], adjustment: int, capacity: int) -> int:
    kind = configuration.get("AdjustmentType")
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return capacity + adjustment
    change = capacity * adjustment / 100
    # "Values greater than 1 are rounded down. Values between 0 and 1 are rounded to 1", and the same below 0.
    rounded = math.trunc(change) if abs(change) > 1 else int(math.copysign(1, change))
    least = configuration.get("MinAdjustmentMagnitude", 0)
    return capacity + (rounded if abs(rounded) >= least else int(math.copysign(least, change)))
