"""What load to send: phases and rows, within caps."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from slipway.load.answers import Answers
from slipway.load.errors import LoadRefused
from slipway.load.phases import LAB_STAGES, Arrivals, Phase, phase_to_json
from slipway.load.rows import Row

# What one process can send each second on a core of its own, with a margin for TLS and a busy machine: a request was
# measured to take 40 µs of CPU (docs/benchmarks.md).
PROCESS_RPS = 5000
DRAIN_SECONDS = 5.0
# Each sending process keeps all rows in memory.
MAX_ROWS_MIB = 16
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
_VARIANT = re.compile(r"(?=.{1,63}\Z)[a-zA-Z0-9](-*[a-zA-Z0-9])*")


@dataclass(frozen=True)
class Caps:
    """The most load that may be asked for; endpoints cost money by the hour, and others use them too.

    :param max_requests: in all phases together
    :param max_concurrency: requests in flight at a time
    :param max_rate_rps: requests due each second
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
    :param rows: labelled rows; as many as fit are sent in turn
    :param phases: sent one after another
    :param target_variant: the variant to send to; None leaves it to the weights
    :param caps: the most that may be asked for
    :param timeout_seconds: for one answer; InvokeEndpoint gives a model 60 s
    :param processes: how many send; None for as many as the phase needs, at most one for each core
    :param drain_seconds: how long requests in flight may still take once the load is stopped
    :param answers: what the variants answer, by name; under the empty name for all others
    """

    endpoint_name: str
    rows: Sequence[Row]
    phases: Sequence[Phase] = LAB_STAGES
    target_variant: str | None = None
    caps: Caps = Caps()
    timeout_seconds: float = 65
    processes: int | None = None
    drain_seconds: float = DRAIN_SECONDS
    answers: Mapping[str, Answers] = field(default_factory=dict)

    def check(self) -> None:
        """Check the plan against its caps, and check that it can be sent at all.

        :raises LoadRefused: naming every cap that is exceeded
        """
        if not self.rows:
            raise LoadRefused("There are no rows to send", fix="name data that has a label and features on each line")
        if (first := _row_bytes(self.rows[0])) > MAX_ROWS_MIB * 2**20:
            raise LoadRefused(
                f"The first row has {first / 2**20:.1f} MiB, but all rows together may have {MAX_ROWS_MIB} MiB",
                fix="name data with smaller rows",
            )
        if not self.phases:
            raise LoadRefused("There is no load to send", fix="give stages, or a rate and a duration")
        self._check_figures()
        if self.target_variant is not None and not _VARIANT.fullmatch(self.target_variant):
            raise LoadRefused(
                f"{self.target_variant[:80]!a} is not a variant's name",
                fix="write letters and digits, with hyphens between them, 63 at most",
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
                f"The load for {self.endpoint_name} is above its caps: {'; '.join(exceeded)}",
                fix="ask for less, or raise the cap",
            )

    def _check_figures(self) -> None:
        # Checked before anything is computed from them.
        given = [*asdict(self.caps).items()]
        for phase in self.phases:
            given += asdict(phase).items()
            if isinstance(phase, Arrivals):
                given.append(("rate_rps times duration_seconds", phase.rate_rps * phase.duration_seconds))
        wrong = [f"{name} is {value}" for name, value in given if not 0 < value < math.inf]
        if wrong:
            raise LoadRefused(", ".join(wrong), fix="give a finite number above 0")

    @cached_property
    def sent_rows(self) -> Sequence[Row]:
        """The rows that are sent."""
        return fitting(self.rows)

    @property
    def ends_after_seconds(self) -> float:
        """After how many seconds of sending the run is ended, whatever is left to send.

        That is the cap max_seconds, or later where the arrivals need longer to get their last answers.
        """
        arrivals = [phase for phase in self.phases if isinstance(phase, Arrivals)]
        return max(self.caps.max_seconds, sum(phase.duration_seconds + self.timeout_seconds for phase in arrivals))

    def processes_for(self, phase: Phase) -> int:
        """Return how many processes send a phase: several only when one core is not enough.

        :param phase: a phase of this plan
        """
        wanted = self.processes or min(math.ceil(phase.most_rps / PROCESS_RPS), os.cpu_count() or 1)
        return max(1, min(wanted, phase.in_flight))

    def summary(self) -> dict[str, Any]:
        """Return the plan without its rows, for reports."""
        return {
            "endpoint_name": self.endpoint_name,
            "target_variant": self.target_variant,
            "rows": len(self.sent_rows),
            "phases": [phase_to_json(phase) for phase in self.phases],
            "caps": asdict(self.caps),
            "timeout_seconds": self.timeout_seconds,
        }


def fitting(rows: Iterable[Row]) -> list[Row]:
    """Return the first rows, up to 16 MiB of JSON but at least one; further rows are not read.

    :param rows: any number of rows
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


def figure(value: float, digits: int = 12) -> str:
    """Format a number without an exponent.

    :param value: the number
    :param digits: the most significant digits of a fraction
    """
    return str(value) if isinstance(value, int) else format(Decimal(f"{value:.{digits}g}"), "f")
