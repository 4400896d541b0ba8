"""The results of a run, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from hdrh.histogram import HdrHistogram

from slipway.load.tally import PERCENTILES, Tally, several_milliseconds

COMPLETED = "completed"
# A process that uses this much of its core may be what limits the figures, and not the endpoint.
_FULL_CORE = 0.9


@dataclass(frozen=True)
class Second:
    """One second of a phase, without histograms, which would take too much memory in a long run.

    :param second: since the phase's start
    :param sent: requests sent
    :param answered: requests the model has answered
    :param right: correct answers: those that name the row's label
    :param right_by_variant: correct answers by variant
    :param errors: requests without an answer of the model, by kind
    :param variants: answers by variant
    :param instances: the endpoint's instances by variant, as last described
    :param p50_ms: median of the latencies
    :param p99_ms: 99th percentile of the latencies
    """

    second: int
    sent: int
    answered: int
    right: int
    right_by_variant: Mapping[str, int]
    errors: Mapping[str, int]
    variants: Mapping[str, int]
    instances: Mapping[str, int]
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, second: int, tally: Tally, instances: Mapping[str, int]) -> Self:
        """Take the figures of a second from its counts.

        :param second: since the phase's start
        :param tally: everything that was counted in it
        :param instances: the endpoint's instances by variant
        """
        p50, p99 = several_milliseconds(tally.latency, 50, 99)
        return cls(
            second=second,
            sent=tally.sent,
            answered=tally.answered,
            right=tally.right,
            right_by_variant=dict(tally.rights),
            errors=dict(tally.errors),
            variants=dict(tally.variants),
            instances=dict(instances),
            p50_ms=p50,
            p99_ms=p99,
        )


@dataclass(frozen=True)
class PhaseResult:
    """The results of one phase.

    :param phase: the phase as planned
    :param processes: the number of sending processes
    :param started_at: ISO 8601, UTC, to the millisecond
    :param elapsed_seconds: from its start to its last answer
    :param tally: everything that was counted
    :param seconds: the counts second by second
    :param cpu_seconds: CPU time of the sending processes
    :param cpu_share: the largest share of its core that a process used in a second
    """

    phase: Mapping[str, Any]
    processes: int
    started_at: str
    elapsed_seconds: float
    tally: Tally
    seconds: tuple[Second, ...]
    cpu_seconds: float
    cpu_share: float

    @property
    def rps(self) -> float:
        """Answers each second."""
        return self.tally.answered / self.elapsed_seconds if self.elapsed_seconds else 0.0

    @property
    def sender_full(self) -> bool:
        """Whether a sending process may have limited the figures."""
        return self.cpu_share >= _FULL_CORE

    def to_json(self) -> dict[str, Any]:
        """Return the phase as the report has it."""
        tally = self.tally
        return {
            **{"phase": dict(self.phase), "processes": self.processes},
            "started_at": self.started_at,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "rps": round(self.rps, 1),
            "sent": tally.sent,
            "answered": tally.answered,
            "right": tally.right,
            "right_by_variant": dict(tally.rights),
            "accuracy": tally.right / tally.answered if tally.answered else None,
            "variants": dict(tally.variants),
            "errors": dict(tally.errors),
            "latency_ms": _summary(tally.latency),
            "service_ms": _summary(tally.service),
            "latency_hdr": tally.latency.encode().decode(),
            "service_hdr": tally.service.encode().decode(),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "cpu_share": self.cpu_share,
            "sender_full": self.sender_full,
            "series": [asdict(second) for second in self.seconds],
        }


@dataclass(frozen=True)
class LoadResult:
    """The results of a run.

    :param plan: the plan's summary
    :param started_at: ISO 8601, UTC
    :param ended: ``completed``, or why the run ended early
    :param phases: the phases that were started
    """

    plan: Mapping[str, Any]
    started_at: str
    ended: str
    phases: tuple[PhaseResult, ...]

    @property
    def completed(self) -> bool:
        """Whether all of the load was sent."""
        return self.ended == COMPLETED

    def to_json(self) -> str:
        """Return the machine-readable report."""
        document = {
            "plan": dict(self.plan),
            "started_at": self.started_at,
            "ended": self.ended,
            "phases": [phase.to_json() for phase in self.phases],
        }
        return json.dumps(document, indent=2) + "\n"


def _summary(latencies: HdrHistogram) -> dict[str, float]:
    if not latencies.get_total_count():
        return {}
    names = [f"p{percentile:g}" for percentile in PERCENTILES]
    return {
        **dict(zip(names, several_milliseconds(latencies, *PERCENTILES), strict=True)),
        "max": latencies.get_max_value() / 1000,
        "mean": round(latencies.get_mean_value() / 1000, 3),
    }
