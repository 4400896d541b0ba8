"""What all kinds of deployments share: the endpoint that they change, their reports, and their bake.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from local_aws.compute.base import VariantSpec
from local_aws.compute.fleet import Fleet, Instance
from local_aws.compute.route import Route
from local_aws.compute.update_policy import RolledBack, UpdatePolicy, UpdateStage
from local_aws.settings import Clock

# How often alarms are checked, in AWS's seconds; at most five times a real second.
_LOOK_SECONDS = 10.0
_LEAST_LOOK_SECONDS = 0.2


class Interrupted(Exception):
    """The local AWS stops during a deployment."""


class Watch(Protocol):
    """What a deployment calls while it runs."""

    def report(self, stage: UpdateStage) -> None:
        """Receive what the deployment does now."""

    def tripped(self) -> str | None:
        """Check the alarms; return the reason to roll back, None to continue."""

    def wait(self, seconds: float) -> bool:
        """Wait; return True, at once, when the local AWS stops."""


@dataclass(frozen=True)
class EndpointActions:
    """What a deployment does to an endpoint.

    :param start: starts instances of a variant from a directory
    :param wait_ready: waits until instances serve; closes them all and raises ContainerFailed if one does not
    :param set_route: moves the traffic, then drains and stops what the new route does not hold
    """

    start: Callable[[VariantSpec, Path, int], list[Instance]]
    wait_ready: Callable[[Sequence[Instance]], None]
    set_route: Callable[[Route], None]


@dataclass(frozen=True)
class EndpointUpdate:
    """One update of an endpoint that serves.

    :param actions: the endpoint
    :param old: its route so far
    :param specs: the new variants
    :param folder: the folder of the new variants' models
    :param policy: in which steps
    :param bake: watches it
    """

    actions: EndpointActions
    old: Route
    specs: Sequence[VariantSpec]
    folder: Path
    policy: UpdatePolicy
    bake: Bake

    def fleet(self, spec: VariantSpec, instances: Sequence[Instance]) -> Fleet:
        """Make a fleet of a new variant's instances."""
        return Fleet(spec, self.folder / spec.name, instances)

    def start(self, spec: VariantSpec, count: int) -> list[Instance]:
        """Start instances of a new variant, without waiting until they are ready."""
        return self.actions.start(spec, self.folder / spec.name, count)


class Bake:
    """Reports a deployment's progress, and watches its alarms and its time.

    :param policy: the policy of the deployment, which begins now
    :param watch: gets the reports and checks the alarms
    :param clock: how fast waits pass
    """

    def __init__(self, policy: UpdatePolicy, watch: Watch, clock: Clock) -> None:
        self._policy = policy
        self._watch = watch
        self._clock = clock
        self._deadline = time.monotonic() + clock.real_seconds(policy.timeout_seconds)

    def report(
        self,
        status: str,
        message: str,
        counts: Mapping[str, int],
        new: Mapping[str, int],
        old: Mapping[str, int] | None = None,
    ) -> None:
        """Report a status.

        https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html lists the texts.

        :param message: with a place for a variant's count
        :param counts: the instances it is about, by variant
        :param new: as `UpdateStage` has it
        :param old: as `UpdateStage` has it
        """
        messages = {name: message.format(count) for name, count in counts.items()}
        self._watch.report(UpdateStage(status, messages, new, old))

    def step(
        self,
        counts: Mapping[str, int],
        capacity: str,
        member: str,
        seconds: int,
        old: Mapping[str, int] | None = None,
    ) -> None:
        """Watch the alarms for a while after a shift of traffic.

        :param counts: the new instances that take requests, by variant
        :param capacity: what these are, in the status's words
        :param member: the member of the deployment configuration with the time
        :param seconds: how long, in AWS's seconds
        :param old: as `UpdateStage` has it
        :raises RolledBack: an alarm went off, or the deployment takes too long
        :raises Interrupted: the local AWS stops
        """
        at = f"{capacity} capacity of {{}} instance(s)."
        self.report("ActivatingTraffic", f"Activating traffic on {at}", counts, counts, old)
        baking = f"Baking for {seconds} seconds ({member}) with traffic enabled on {at}"
        self.report("Baking", baking, counts, counts, old)
        end = time.monotonic() + self._clock.real_seconds(seconds)
        look_seconds = max(_LEAST_LOOK_SECONDS, self._clock.real_seconds(_LOOK_SECONDS))
        while (left := end - time.monotonic()) > 0:
            self.check()
            if self._watch.wait(min(left, look_seconds)):
                raise Interrupted
        self.check()

    def check(self) -> None:
        """Stop the deployment when an alarm is in ALARM or the time is over.

        :raises RolledBack: one of these is the case
        """
        if reason := self._watch.tripped():
            raise RolledBack(reason)
        if time.monotonic() > self._deadline:
            limit = self._policy.timeout_seconds
            raise RolledBack(f"The deployment exceeded its MaximumExecutionTimeoutInSeconds of {limit}.")
