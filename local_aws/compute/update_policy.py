"""How a deployment moves an endpoint's traffic: its steps, and the waits between them.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

# The highest value of MaximumExecutionTimeoutInSeconds; the default is not documented.
LONGEST_SECONDS = 28800


class RolledBack(Exception):
    """A deployment was rolled back and the old fleets serve again; its text is the endpoint's FailureReason."""


@dataclass(frozen=True)
class CapacitySize:
    """A CapacitySize.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CapacitySize.html

    :param value: a percentage of the capacity, or a number of instances
    :param percent: which of the two
    """

    value: int
    percent: bool

    def share(self, instances: int) -> float:
        """Return this size as a share of a fleet.

        :param instances: how many the fleet has
        :returns: between 0 and 1
        """
        return min(1.0, self.value / (100 if self.percent else instances))


ALL_AT_ONCE = CapacitySize(100, percent=True)


@dataclass(frozen=True)
class UpdatePolicy:
    """How new fleets replace old ones.

    :param kind: `all` at once, `canary`, `linear` or `rolling`
    :param size: of the canary, the linear step or the rolling batch
    :param wait_seconds: WaitIntervalInSeconds: how long each step is watched before the next
    :param termination_wait_seconds: TerminationWaitInSeconds: how long old fleets are kept, and new ones watched, when
        all traffic has moved
    :param timeout_seconds: MaximumExecutionTimeoutInSeconds
    :param rollback_size: of the batches in which a rolling deployment is rolled back
    :param alarms: names of the CloudWatch alarms that roll it back
    """

    kind: str = "all"
    size: CapacitySize = ALL_AT_ONCE
    wait_seconds: int = 0
    termination_wait_seconds: int = 0
    timeout_seconds: int = LONGEST_SECONDS
    rollback_size: CapacitySize = ALL_AT_ONCE
    alarms: tuple[str, ...] = ()

    def steps(self, instances: int) -> list[float]:
        """Return what share of a variant's requests its new fleet has after each step; the last is 1.

        :param instances: of the new fleet
        """
        size = self.size.share(instances)
        if self.kind == "canary":
            return [size, 1.0]
        if self.kind == "all":
            return [1.0]
        return shares(size)

    def waiting_seconds(self, instances: int) -> int:
        """Return how long the deployment waits in all.

        :param instances: of the new fleet
        """
        # Each batch of a rolling deployment is watched before the old instances stop, also the last one.
        watched = len(self.steps(instances)) - (0 if self.kind == "rolling" else 1)
        return watched * self.wait_seconds + self.termination_wait_seconds


def shares(step: float) -> list[float]:
    """Divide the whole into equal steps; the last may be smaller.

    :param step: between 0 and 1
    :returns: the share after each
    """
    # Rounded, because three thirds would otherwise give a fourth step.
    count = math.ceil(round(1 / step, 6))
    return [min(1.0, step * n) for n in range(1, count)] + [1.0]


def portion(share: float, instances: int) -> int:
    """Return how many instances a share of the traffic needs: rounded up, because an instance is active or not.

    :param share: between 0 and 1
    :param instances: of the whole fleet
    """
    return math.ceil(round(share * instances, 6))


@dataclass(frozen=True)
class UpdateStage:
    """What a deployment is doing, as DescribeEndpoint shows it.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantStatus.html

    :param status: Creating, ActivatingTraffic, Baking, Deleting, or RollingBack, which is the endpoint's own
    :param messages: the status in words, by variant
    :param new: instances of the new fleets that take requests, by variant
    :param old: instances of the old fleets that are left, by variant; None while that is all of them
    """

    status: str
    messages: Mapping[str, str]
    new: Mapping[str, int]
    old: Mapping[str, int] | None = None
