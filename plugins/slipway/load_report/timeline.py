"""The seconds of a run on one time axis, merged into few points so that the page stays small."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slipway.load.phases import phase_names

# A plot of this width cannot show more.
MAX_POINTS = 400
MINUTE_SECONDS = 60.0


@dataclass(frozen=True)
class PhaseSpan:
    """When a phase ran.

    :param name: as `phase_names` gives it
    :param start: seconds since the epoch
    :param end: seconds since the epoch
    """

    name: str
    start: float
    end: float


@dataclass
class Point:
    """Some seconds of a phase, merged.

    :param at: start of the first second, in seconds since the epoch
    :param seconds: how many are merged
    :param p50_ms: the worst of their medians; a percentile of percentiles would mean nothing
    :param p99_ms: the worst of their 99th percentiles
    :param instances: the endpoint's instances by variant, as last described
    """

    at: float
    seconds: int = 0
    answered: int = 0
    errors: int = 0
    variants: Counter[str] = field(default_factory=Counter)
    rights: Counter[str] = field(default_factory=Counter)
    instances: Mapping[str, int] = field(default_factory=dict)
    p50_ms: float = 0.0
    p99_ms: float = 0.0

    def add(self, second: Mapping[str, Any]) -> None:
        """Add a second of the series."""
        self.seconds += 1
        self.answered += second["answered"]
        self.errors += sum(second["errors"].values())
        self.variants.update(second["variants"])
        self.rights.update(second["right_by_variant"])
        self.instances = second["instances"] or self.instances
        self.p50_ms = max(self.p50_ms, second["p50_ms"])
        self.p99_ms = max(self.p99_ms, second["p99_ms"])


@dataclass(frozen=True)
class Timeline:
    """A whole run.

    :param start: start of the first phase, or of the run; seconds since the epoch
    :param phases: in their order
    :param points: the points of each phase
    :param seconds_per_point: how many seconds are merged in a point
    :param minutes: answers by the minute's start, in seconds since the epoch
    """

    start: float
    phases: tuple[PhaseSpan, ...]
    points: tuple[tuple[Point, ...], ...]
    seconds_per_point: int
    minutes: Mapping[float, int]

    @property
    def all_points(self) -> list[Point]:
        """The points of all phases."""
        return [point for points in self.points for point in points]

    @property
    def variants(self) -> list[str]:
        """Every variant that answered or had instances, sorted by name."""
        return sorted({name for point in self.all_points for name in (*point.variants, *point.instances)})

    @property
    def end(self) -> float:
        """The end of the last phase, in seconds since the epoch."""
        return max((phase.end for phase in self.phases), default=self.start + 1)


def timeline(load: Mapping[str, Any], max_points: int = MAX_POINTS) -> Timeline:
    """Put the phases of a load on one time axis.

    :param load: what ``LoadResult.to_json`` wrote
    :param max_points: limit for all phases together, plus one for each phase
    """
    phases = load["phases"]
    total = sum(len(phase["series"]) for phase in phases)
    step = max(1, math.ceil(total / max_points))
    spans = tuple(
        _span(phase, name)
        for phase, name in zip(phases, phase_names([phase["phase"] for phase in phases]), strict=True)
    )
    points = tuple(tuple(_points(phase["series"], span.start, step)) for phase, span in zip(phases, spans, strict=True))
    minutes: Counter[float] = Counter()
    for phase, span in zip(phases, spans, strict=True):
        for second in phase["series"]:
            minutes[(span.start + second["second"]) // MINUTE_SECONDS * MINUTE_SECONDS] += second["answered"]
    start = spans[0].start if spans else epoch(load["started_at"])
    return Timeline(start, spans, points, step, minutes)


def epoch(text: str) -> float:
    """Return the seconds since the epoch of an ISO 8601 time."""
    return datetime.fromisoformat(text).timestamp()


def _span(phase: Mapping[str, Any], name: str) -> PhaseSpan:
    start = epoch(phase["started_at"])
    return PhaseSpan(name, start, start + phase["elapsed_seconds"])


def _points(series: Sequence[Mapping[str, Any]], start: float, step: int) -> Iterable[Point]:
    # Seconds without a report are missing in the series, but the time axis still includes them.
    found: dict[int, Point] = {}
    for second in series:
        slot = second["second"] // step
        point = found.setdefault(slot, Point(start + slot * step))
        point.add(second)
    return found.values()
