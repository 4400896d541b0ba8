"""Scales: a thread that alarms, new bounds and schedules wake.

https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
"""

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from local_aws.autoscaling.activities import ScalingActivities
from local_aws.autoscaling.capacity import (
    DEFAULT_COOLDOWN_SECONDS,
    STAY,
    Decision,
    Situation,
    bounded,
    stepped,
    tracked,
)
from local_aws.autoscaling.policies import ScalingPolicies
from local_aws.autoscaling.targets import ScalableTargets, key
from local_aws.autoscaling.variants import Variants, VariantState
from local_aws.framework.api import ServiceError
from local_aws.framework.store import Document, Scope
from local_aws.settings import Clock

# How often activities in progress are checked, in AWS's seconds and within these limits.
_TICK_SECONDS = 5
_SHORTEST_TICK_SECONDS = 0.1
_LONGEST_TICK_SECONDS = 1.0

_log = logging.getLogger(__name__)

_Alarm = Mapping[str, Any]


class Scaler:
    """Scales variants; only its thread changes capacities.

    :param targets: the scalable targets
    :param policies: their policies
    :param activities: where it records what it does
    :param variants: what it scales
    :param clock: how fast cooldowns pass
    :param schedule: performs the scheduled actions that are due
    """

    def __init__(
        self,
        targets: ScalableTargets,
        policies: ScalingPolicies,
        activities: ScalingActivities,
        variants: Variants,
        clock: Clock,
        schedule: Callable[[float], None],
    ) -> None:
        self._targets = targets
        self._policies = policies
        self._activities = activities
        self._variants = variants
        self._clock = clock
        self._schedule = schedule
        # None only wakes the thread.
        self._woken: queue.SimpleQueue[tuple[Scope, str, _Alarm] | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scaler", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; activities in progress are checked again after the next start."""
        self._stopping.set()
        self._woken.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def wake(self) -> None:
        """Check new bounds at once."""
        self._woken.put(None)

    def alarmed(self, scope: Scope, arn: str, alarm: _Alarm) -> None:
        """Accept an alarm that invokes a policy; any thread.

        :param scope: account and region
        :param arn: the policy's
        :param alarm: with the datapoints of its state in StateReasonData
        """
        self._woken.put((scope, arn, alarm))

    def _run(self) -> None:
        tick = max(_SHORTEST_TICK_SECONDS, min(self._clock.real_seconds(_TICK_SECONDS), _LONGEST_TICK_SECONDS))
        while not self._stopping.is_set():
            try:
                woken = self._woken.get(timeout=tick)
            except queue.Empty:
                woken = None
            if self._stopping.is_set():
                return
            if woken:
                self._guarded(self._follow, *woken)
            self._guarded(self._settle)
            self._guarded(self._schedule, time.time())
            self._guarded(self._enforce)

    def _guarded(self, step: Callable[..., None], *arguments: Any) -> None:
        try:
            step(*arguments)
        except Exception:
            _log.exception("Scaling failed")

    # --- policies -----------------------------------------------------------------------------------------------------

    def _follow(self, scope: Scope, arn: str, alarm: _Alarm) -> None:
        """Perform a policy that an alarm invoked."""
        policy = self._policies.by_arn(scope, arn)
        target = policy and self._targets.find(scope, policy)
        variant = target and self._variants.state(scope, target)
        if not policy or not target or not variant:
            return
        cause = (
            f"monitor alarm {alarm['AlarmName']} in state {alarm['StateValue']} triggered policy {policy['PolicyName']}"
        )
        if variant.status != "InService":
            if not self._scales(scope, target):
                # The alarm invokes the policy every minute while it is in its state.
                self._activities.not_scaled(scope, target, cause, {"Code": "TargetServicePutResourceAsUnscalable"})
            return
        decision = self._decided(scope, policy, target, variant, alarm)
        if decision.capacity is not None:
            self._scale(scope, target, variant.desired, decision.capacity, cause)
        elif decision.code:
            self._activities.not_scaled(scope, target, cause, _reason(decision.code, target, variant))

    def _decided(
        self, scope: Scope, policy: Document, target: Document, variant: VariantState, alarm: _Alarm
    ) -> Decision:
        datapoints = json.loads(alarm["StateReasonData"])["recentDatapoints"]
        situation = self._situation(scope, policy, target, variant)
        if policy["PolicyType"] == "StepScaling":
            configuration = policy["StepScalingPolicyConfiguration"]
            if not datapoints:
                return STAY
            return stepped(configuration, datapoints[-1], alarm["Threshold"], situation)
        configuration = policy["TargetTrackingScalingPolicyConfiguration"]
        high = alarm["ComparisonOperator"].startswith("Greater")
        decision = tracked(configuration, high, datapoints, situation)
        scales_in = decision.capacity is not None and decision.capacity < variant.desired
        return STAY if scales_in and not self._policies.may_scale_in(scope, policy) else decision

    def _situation(self, scope: Scope, policy: Document, target: Document, variant: VariantState) -> Situation:
        now = time.time()
        out_seconds, in_seconds = (self._clock.real_seconds(seconds) for seconds in _cooldowns(policy))
        last = self._activities.last_scaling(scope, target)
        scaled_out = last is not None and last["ToCapacity"] > last["FromCapacity"]
        return Situation(
            variant.desired,
            target["MinCapacity"],
            target["MaxCapacity"],
            target["SuspendedState"],
            last["FromCapacity"] if last and scaled_out and now < last["EndTime"] + out_seconds else None,
            # A scale-out ends the cooldown of an earlier scale-in.
            last is not None and not scaled_out and now < last["EndTime"] + in_seconds,
        )

    # --- capacities ---------------------------------------------------------------------------------------------------

    def _scale(self, scope: Scope, target: Document, before: int, capacity: int, cause: str) -> None:
        description = f"Setting desired instance count to {capacity}."
        activity = self._activities.begin(scope, target, description, cause, before, capacity)
        try:
            self._variants.set_capacity(scope, target, capacity)
        except ServiceError as error:
            self._activities.end(scope, activity, "Failed", _failed(capacity, error.message))

    def _settle(self) -> None:
        """End the activities whose variants have reached their capacity, or cannot."""
        for scope, activity in self._activities.under_way():
            variant = self._variants.state(scope, activity)
            capacity = activity["ToCapacity"]
            if variant is None:
                self._activities.end(scope, activity, "Failed", _failed(capacity, "The variant is gone."))
            elif variant.status == "InService" and variant.current == capacity:
                done = f"Successfully set desired instance count to {capacity}."
                message = f"{done} Change successfully fulfilled by sagemaker."
                self._activities.end(scope, activity, "Successful", message)
            elif variant.status in ("InService", "Failed"):
                self._activities.end(scope, activity, "Failed", _failed(capacity, variant.reason))

    def _scales(self, scope: Scope, target: Document) -> bool:
        return any((scope, key(target)) == (other, key(activity)) for other, activity in self._activities.under_way())

    def _enforce(self) -> None:
        """Bring variants within new bounds."""
        for scope, target in self._targets.with_new_bounds():
            variant = self._variants.state(scope, target)
            if variant and variant.status in ("Creating", "Updating", "SystemUpdating", "RollingBack"):
                continue
            self._targets.bounds_seen(scope, target)
            if variant is None or variant.status != "InService":
                continue
            bounds = Situation(variant.desired, target["MinCapacity"], target["MaxCapacity"], {})
            capacity = bounded(bounds)
            if capacity != variant.desired:
                bound = "minimum" if capacity > variant.desired else "maximum"
                self._scale(scope, target, variant.desired, capacity, f"{bound} capacity was set to {capacity}")


def _cooldowns(policy: Document) -> tuple[float, float]:
    """Read the seconds after a scale-out and after a scale-in."""
    if policy["PolicyType"] == "StepScaling":
        seconds = policy["StepScalingPolicyConfiguration"].get("Cooldown", DEFAULT_COOLDOWN_SECONDS)
        return seconds, seconds
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    return (
        configuration.get("ScaleOutCooldown", DEFAULT_COOLDOWN_SECONDS),
        configuration.get("ScaleInCooldown", DEFAULT_COOLDOWN_SECONDS),
    )


def _reason(code: str, target: Document, variant: VariantState) -> Document:
    """Write a NotScaledReason with the members that go with its code.

    https://docs.aws.amazon.com/autoscaling/application/APIReference/API_NotScaledReason.html
    """
    members = {
        "AlreadyAtMaxCapacity": {"MaxCapacity": target["MaxCapacity"]},
        "AlreadyAtMinCapacity": {"MinCapacity": target["MinCapacity"]},
    }
    return {"Code": code, **members.get(code, {"CurrentCapacity": variant.desired})}


def _failed(capacity: int, reason: str) -> str:
    return f"Failed to set desired instance count to {capacity}. Reason: {reason}"
