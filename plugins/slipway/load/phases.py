"""The phases of a load: stages of concurrent requests or a constant arrival rate, and each process's share of one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from slipway.load.errors import LoadRefused

# Endpoints seldom answer faster; with Little's law it turns a concurrency into the most requests each second.
_FAST_ANSWER_SECONDS = 0.02
# Python converts no text of thousands of digits.
_STAGE = re.compile(r"(\d{1,18})[:x](\d{1,18})", re.ASCII)


@dataclass(frozen=True)
class LoadStage:
    """A closed loop: keeps a number of requests in flight until all have been sent.

    :param concurrency: requests in flight at a time
    :param requests: how many to send in all
    """

    concurrency: int
    requests: int

    @property
    def most_rps(self) -> float:
        """The highest rate to expect, in requests each second."""
        return self.concurrency / _FAST_ANSWER_SECONDS

    @property
    def in_flight(self) -> int:
        """The most requests in flight."""
        return min(self.concurrency, self.requests)


@dataclass(frozen=True)
class Arrivals:
    """An open loop: requests are due at a constant rate, whether or not earlier ones have been answered.

    :param rate_rps: requests due each second
    :param duration_seconds: for how long
    :param concurrency: the most requests in flight; a further request waits, and its latency includes the wait
    """

    rate_rps: float
    duration_seconds: float
    concurrency: int = 150

    @property
    def requests(self) -> int:
        """The number of requests due in all."""
        return max(1, math.floor(self.rate_rps * self.duration_seconds))

    @property
    def most_rps(self) -> float:
        """The highest rate to expect, in requests each second."""
        return self.rate_rps

    @property
    def in_flight(self) -> int:
        """The most requests in flight."""
        return min(self.concurrency, self.requests)


Phase = LoadStage | Arrivals
# The stress test of AWS's MLOps lab: threads and requests.
LAB_STAGES = (LoadStage(10, 1_000), LoadStage(100, 10_000), LoadStage(150, 100_000))


@dataclass(frozen=True)
class Share:
    """One process's part of a phase: every n-th request.

    :param first: number of its first request
    :param step: distance between its requests
    :param requests: number of requests of the whole phase
    :param concurrency: the most requests in flight of this part
    :param interval_seconds: between two due requests of the whole phase; None in a closed loop
    """

    first: int
    step: int
    requests: int
    concurrency: int
    interval_seconds: float | None = None


def shares(phase: Phase, processes: int) -> list[Share]:
    """Divide a phase among processes.

    :param phase: what to send
    :param processes: at most as many as requests may be in flight
    """
    interval = 1 / phase.rate_rps if isinstance(phase, Arrivals) else None
    whole, rest = divmod(phase.in_flight, processes)
    return [Share(number, processes, phase.requests, whole + (number < rest), interval) for number in range(processes)]


def phase_to_json(phase: Phase) -> dict[str, Any]:
    """Return a phase as reports have it."""
    kind = "arrivals" if isinstance(phase, Arrivals) else "stage"
    return {"kind": kind, **asdict(phase), "requests": phase.requests}


def phase_name(phase: Mapping[str, Any]) -> str:
    """Name a phase in a few words.

    :param phase: as `phase_to_json` returns it
    """
    if "rate_rps" in phase:
        return f"{phase['rate_rps']:g}/s for {phase['duration_seconds']:g} s"
    return f"{phase['concurrency']:,} in flight"


def phase_names(phases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the phases of a load, each differently.

    :param phases: all of them, as `phase_to_json` returns them
    """
    names = [phase_name(phase) for phase in phases]
    return [f"{name} (phase {number})" if names.count(name) > 1 else name for number, name in enumerate(names, start=1)]


def parse_stages(text: str) -> tuple[LoadStage, ...]:
    """Read the stages of a command line.

    :param text: such as ``10:1000,100:10000``: concurrency and requests
    :raises LoadRefused: naming the part that cannot be read
    """
    stages = []
    for part in text.split(","):
        match = _STAGE.fullmatch(part.strip())
        if not match:
            raise LoadRefused(f"{part.strip()!r} is not a stage", fix="write CONCURRENCY:REQUESTS, such as 10:1000")
        stages.append(LoadStage(int(match[1]), int(match[2])))
    return tuple(stages)
