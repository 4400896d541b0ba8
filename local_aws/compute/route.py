"""Where an endpoint's requests go: to its fleets, and during a deployment by share to two of them.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from local_aws.compute.fleet import Fleet, Instance


@dataclass(frozen=True)
class Lane:
    """A fleet that takes requests.

    :param weight: the variant's weight, relative to the other lanes
    :param share: of its variant's requests, between 0 and 1; below 1 while two fleets of the variant serve
    """

    fleet: Fleet
    weight: float
    share: float = 1.0


@dataclass(frozen=True)
class Route:
    """What serves an endpoint at one moment; it is never changed, only replaced.

    :param lanes: the fleets that take requests
    :param standby: fleets without requests: a new fleet's inactive part, or an old one that may be needed again
    """

    lanes: tuple[Lane, ...]
    standby: tuple[Fleet, ...] = ()

    @classmethod
    def of(cls, fleets: Iterable[Fleet], standby: Iterable[Fleet] = ()) -> Route:
        """Send every request to some fleets, by their variants' weights."""
        return cls(tuple(Lane(fleet, fleet.spec.weight) for fleet in fleets), tuple(standby))

    @classmethod
    def between(cls, old: Sequence[Fleet], new: Sequence[Fleet], shares: Mapping[str, float]) -> Route:
        """Divide the requests between the fleets of two configurations that have the same variants.

        :param shares: by variant, the share of its new fleet
        """
        lanes = [Lane(fleet, part, 1 - shares[fleet.spec.name]) for fleet, part in _parts(old)]
        lanes += [Lane(fleet, part, shares[fleet.spec.name]) for fleet, part in _parts(new)]
        return cls(tuple(lane for lane in lanes if lane.share), tuple(lane.fleet for lane in lanes if not lane.share))

    def with_standby(self, fleets: Iterable[Fleet]) -> Route:
        """Keep more fleets running."""
        return Route(self.lanes, (*self.standby, *fleets))

    @property
    def fleets(self) -> tuple[Fleet, ...]:
        """The fleets that take requests."""
        return tuple(lane.fleet for lane in self.lanes)

    @property
    def held(self) -> tuple[Fleet, ...]:
        """All fleets, also those without requests."""
        return (*self.fleets, *self.standby)

    def instances(self) -> list[Instance]:
        """Return every instance that is kept running, each once."""
        return list(dict.fromkeys(instance for fleet in self.held for instance in fleet.instances))

    def healthy(self) -> dict[str, int]:
        """Return how many instances take requests, by variant."""
        counts: Counter[str] = Counter()
        for fleet in self.fleets:
            counts[fleet.spec.name] += fleet.healthy_count()
        return dict(counts)

    def choose(self, target_variant: str | None, tried: Collection[Fleet] = ()) -> Fleet | None:
        """Choose the fleet for a request.

        :param target_variant: the variant it names, None to choose by weight
        :param tried: fleets that had no instance for it; another fleet of the same variant is tried, if there is one
        :returns: None when there is no such variant
        """
        if len(self.lanes) == 1 and target_variant is None:
            return self.lanes[0].fleet
        lanes = [lane for lane in self.lanes if target_variant in (None, lane.fleet.spec.name)]
        variants = {fleet.spec.name for fleet in tried}
        lanes = [lane for lane in lanes if lane.fleet.spec.name in variants and lane.fleet not in tried] or lanes
        if len(lanes) < 2:
            return lanes[0].fleet if lanes else None
        chances = [lane.share * (lane.weight if target_variant is None else 1) for lane in lanes]
        return random.choices(lanes, chances if sum(chances) else None)[0].fleet


def _parts(fleets: Sequence[Fleet]) -> list[tuple[Fleet, float]]:
    """Weigh each fleet within its configuration, because the weights of two configurations may have different sums."""
    total = sum(fleet.spec.weight for fleet in fleets)
    return [(fleet, fleet.spec.weight / total if total else 1.0) for fleet in fleets]
