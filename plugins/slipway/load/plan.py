"""What load to send: stages of concurrent requests or a constant arrival rate, within caps."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from slipway.load.errors import LoadRefused
from slipway.load.rows import Row

# What one process is taken to send each second on a core of its own: cautiously, for on an idle machine a request was
# measured to take 125 µs of it (docs/performance.md).
PROCESS_RPS = 2500
# Endpoints seldom answer faster; with Little's law it turns a concurrency into the most requests each second.
_FAST_ANSWER_SECONDS = 0.02
DRAIN_SECONDS = 5.0
# Each sending process gets all rows, and keeps them.
MAX_ROWS_MIB = 16
_STAGE = re.compile(r"(\d+)[:x](\d+)")
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
_VARIANT = re.compile(r"(?=.{1,63}\Z)[a-zA-Z0-9](-*[a-zA-Z0-9])*")


@dataclass(frozen=True)
class LoadStage:
    """A closed loop: so many requests in flight until so many have been sent.

    :param concurrency: requests in flight at a time
    :param requests: how many in all
    """

    concurrency: int
    requests: int

    @property
    def most_rps(self) -> float:
        """The most requests each second that are to be expected."""
        return self.concurrency / _FAST_ANSWER_SECONDS

    @property
    def in_flight(self) -> int:
        """How many requests are in flight at most."""
        return min(self.concurrency, self.requests)


@dataclass(frozen=True)
class Arrivals:
    """An open loop: requests are due at a constant rate, whether or not earlier ones have been answered.

    :param rate_rps: requests due each second
    :param duration_seconds: for how long
    :param concurrency: requests in flight at most; one that is due beyond it waits, and its latency counts the wait
    """

    rate_rps: float
    duration_seconds: float
    concurrency: int = 150

    @property
    def requests(self) -> int:
        """How many requests are due in all."""
        return max(1, math.floor(self.rate_rps * self.duration_seconds))

    @property
    def most_rps(self) -> float:
        """The most requests each second that are to be expected."""
        return self.rate_rps

    @property
    def in_flight(self) -> int:
        """How many requests are in flight at most."""
        return min(self.concurrency, self.requests)


Phase = LoadStage | Arrivals
# The stress test of AWS's MLOps lab: threads and requests.
LAB_STAGES = (LoadStage(10, 1_000), LoadStage(100, 10_000), LoadStage(150, 100_000))


@dataclass(frozen=True)
class Caps:
    """How much load may be asked for; an endpoint costs money by the instance hour and answers others as well.

    :param max_requests: in all phases together
    :param max_concurrency: requests in flight at a time
    :param max_rate_rps: of arrivals
    :param max_seconds: how long requests may be sent; see `Plan.ends_after_seconds`
    """

    max_requests: int = 200_000
    max_concurrency: int = 200
    max_rate_rps: float = 2_000
    max_seconds: float = 1_800


@dataclass(frozen=True)
class Plan:
    """One run of load.

    :param endpoint_name: the endpoint
    :param rows: labelled rows; the first ones, as far as they fit, are sent in turn
    :param phases: one after another
    :param target_variant: the variant that shall answer; None leaves it to the weights
    :param caps: what may be asked for
    :param timeout_seconds: for one answer; a model has 60 s, and InvokeEndpoint passes on what it says
    :param processes: how many send; None for as many as the phase needs and the machine has cores
    :param drain_seconds: how long requests in flight may take to be answered once the load is to end
    """

    endpoint_name: str
    rows: Sequence[Row]
    phases: Sequence[Phase] = LAB_STAGES
    target_variant: str | None = None
    caps: Caps = Caps()
    timeout_seconds: float = 65
    processes: int | None = None
    drain_seconds: float = DRAIN_SECONDS

    def check(self) -> None:
        """Hold the plan against its caps, and against what can be sent at all.

        :raises LoadRefused: naming every cap that is exceeded
        """
        if not self.rows:
            raise LoadRefused("There are no rows to send. Fix: name data that has a label and features on each line")
        if (first := _row_bytes(self.rows[0])) > MAX_ROWS_MIB * 2**20:
            raise LoadRefused(
                f"The first row has {first / 2**20:.1f} MiB, but all rows together may have {MAX_ROWS_MIB} MiB. "
                "Fix: name data with smaller rows"
            )
        if not self.phases:
            raise LoadRefused("There is no load to send. Fix: give stages, or a rate and a duration")
        self._check_figures()
        if self.target_variant is not None and not _VARIANT.fullmatch(self.target_variant):
            raise LoadRefused(
                f"{self.target_variant[:80]!a} is no variant's name. "
                "Fix: write letters and digits, with hyphens between them, 63 at most"
            )
        caps, asked = (
            self.caps,
            [
                ("max_requests", sum(phase.requests for phase in self.phases)),
                ("max_concurrency", max(phase.concurrency for phase in self.phases)),
                (
                    "max_rate_rps",
                    max((phase.rate_rps for phase in self.phases if isinstance(phase, Arrivals)), default=0),
                ),
                (
                    "max_seconds",
                    sum(phase.duration_seconds for phase in self.phases if isinstance(phase, Arrivals)),
                ),
            ],
        )
        exceeded = [
            f"{name} is {figure(getattr(caps, name))}, asked is {figure(value)}"
            for name, value in asked
            if value > getattr(caps, name)
        ]
        if exceeded:
            raise LoadRefused(
                f"The load for {self.endpoint_name} is above its caps: {'; '.join(exceeded)}. "
                "Fix: ask for less, or raise the cap on purpose"
            )

    def _check_figures(self) -> None:
        # Before anything is worked out from them.
        given = [*asdict(self.caps).items()]
        for phase in self.phases:
            given += asdict(phase).items()
            if isinstance(phase, Arrivals):
                given.append(("rate_rps times duration_seconds", phase.rate_rps * phase.duration_seconds))
        wrong = [f"{name} is {value}" for name, value in given if not 0 < value < math.inf]
        if wrong:
            raise LoadRefused(f"{', '.join(wrong)}. Fix: give a number above 0 that has an end")

    @cached_property
    def sent_rows(self) -> Sequence[Row]:
        """The rows that are sent."""
        return fitting(self.rows)

    @property
    def ends_after_seconds(self) -> float:
        """When the run is ended in order, whatever is left, in seconds of sending.

        That is at the cap; but where arrivals alone may take as long, not before their last answers may be there.
        """
        arrivals = [phase for phase in self.phases if isinstance(phase, Arrivals)]
        return max(self.caps.max_seconds, sum(phase.duration_seconds + self.timeout_seconds for phase in arrivals))

    def processes_for(self, phase: Phase) -> int:
        """How many processes send a phase: several only when one core would be full.

        :param phase: one of this plan's
        """
        wanted = self.processes or min(math.ceil(phase.most_rps / PROCESS_RPS), os.cpu_count() or 1)
        return max(1, min(wanted, phase.in_flight))

    def summary(self) -> dict[str, Any]:
        """The plan without its rows, for reports."""
        return {
            "endpoint_name": self.endpoint_name,
            "target_variant": self.target_variant,
            "rows": len(self.sent_rows),
            "phases": [describe(phase) for phase in self.phases],
            "caps": asdict(self.caps),
            "timeout_seconds": self.timeout_seconds,
        }


def fitting(rows: Iterable[Row]) -> list[Row]:
    """Take the first rows, up to 16 MiB as sending processes are given them but one at least; no more are looked at.

    :param rows: any number
    """
    taken: list[Row] = []
    left = MAX_ROWS_MIB * 2**20
    for row in rows:
        left -= _row_bytes(row)
        if left < 0 and taken:
            break
        taken.append(row)
    return taken


def _row_bytes(row: Row) -> int:
    return len(json.dumps([row.label, row.features]))


@dataclass(frozen=True)
class Share:
    """One process's part of a phase: every so-many-th request, so that all parts are alike.

    :param first: number of its first request
    :param step: distance between its requests
    :param requests: of the whole phase
    :param concurrency: of this part
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
    :param processes: at most as many as may be in flight
    """
    interval = 1 / phase.rate_rps if isinstance(phase, Arrivals) else None
    whole, rest = divmod(phase.in_flight, processes)
    return [Share(number, processes, phase.requests, whole + (number < rest), interval) for number in range(processes)]


def describe(phase: Phase) -> dict[str, Any]:
    """A phase as reports have it."""
    kind = "arrivals" if isinstance(phase, Arrivals) else "stage"
    return {"kind": kind, **asdict(phase), "requests": phase.requests}


def figure(value: float, digits: int = 12) -> str:
    """Write a number as people do, without an exponent.

    :param value: the number
    :param digits: of a fraction, how many that are not leading zeros are shown at most
    """
    return str(value) if isinstance(value, int) else format(Decimal(f"{value:.{digits}g}"), "f")


def title(phase: Mapping[str, Any]) -> str:
    """Name a phase as people do.

    :param phase: as `describe` has it
    """
    if "rate_rps" in phase:
        return f"{phase['rate_rps']:g}/s for {phase['duration_seconds']:g} s"
    return f"{phase['concurrency']} x {phase['requests']}"


def parse_stages(text: str) -> tuple[LoadStage, ...]:
    """Read stages as a command line has them.

    :param text: such as ``10:1000,100:10000``: concurrency and requests
    :raises LoadRefused: naming what cannot be read
    """
    stages = []
    for part in text.split(","):
        match = _STAGE.fullmatch(part.strip())
        if not match:
            raise LoadRefused(f"{part.strip()!r} is no stage. Fix: write CONCURRENCY:REQUESTS, such as 10:1000")
        stages.append(LoadStage(int(match[1]), int(match[2])))
    return tuple(stages)
