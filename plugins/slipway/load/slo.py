"""The limits an endpoint must keep under load, and whether it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.load.phases import phase_names
from slipway.load.plan import figure
from slipway.load.result import LoadResult, PhaseResult
from slipway.load.sending_loops import ABANDONED
from slipway.load.tally import milliseconds


@dataclass(frozen=True)
class Slo:
    """The limits; None means no limit, except for errors, where it means 0.

    Latency and accuracy only count answers: without a limit for errors, an endpoint that answers almost nothing would
    keep both.

    :param max_error_share: share of the requests, 0 to 1
    :param p99_ms: 99th percentile of the latencies, in milliseconds
    :param min_accuracy: share of the answers that are correct, 0 to 1
    """

    max_error_share: float | None = None
    p99_ms: float | None = None
    min_accuracy: float | None = None


@dataclass(frozen=True)
class Limit:
    """One limit, measured in the phase that came nearest to it or broke it most.

    :param name: the field of `Slo`
    :param allowed: the limit
    :param measured: the figure; None where nothing could be measured
    :param excess: by how much the limit is broken; 0 where it is kept
    :param phase: the phase in which it was measured
    """

    name: str
    allowed: float
    measured: float | None
    excess: float
    phase: str

    @property
    def passed(self) -> bool:
        """Whether the limit was kept."""
        return self.measured is not None and self.excess <= 0

    def __str__(self) -> str:
        if self.measured is None:
            return f"{self.name} is {figure(self.allowed)}, but nothing was answered ({self.phase})"
        by = f", broken by {figure(self.excess, 4)}" if not self.passed else ""
        return f"{self.name} is {figure(self.allowed)}, measured {figure(self.measured, 4)} ({self.phase}){by}"

    def to_json(self) -> dict[str, Any]:
        """Return the limit as the report has it."""
        return {
            "name": self.name,
            "allowed": self.allowed,
            "measured": self.measured,
            "passed": self.passed,
            "phase": self.phase,
        }


@dataclass(frozen=True)
class SloVerdict:
    """Whether an endpoint passed a run.

    :param completed: whether all of the load was sent
    :param limits: the limits that were set, and the limit for errors
    """

    completed: bool
    limits: tuple[Limit, ...]

    @property
    def broken(self) -> tuple[Limit, ...]:
        """The broken limits; after an early end, only those that were measured."""
        measured = [limit for limit in self.limits if self.completed or limit.measured is not None]
        return tuple(limit for limit in measured if not limit.passed)

    @property
    def passed(self) -> bool:
        """Whether all of the load was sent and every limit kept."""
        return self.completed and not self.broken

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as the report has it."""
        return {"passed": self.passed, "limits": [limit.to_json() for limit in self.limits]}


def judge_load(result: LoadResult, slo: Slo) -> SloVerdict:
    """Check each phase of a run against the limits; the worst phase counts, so that a long one cannot hide a short one.

    :param result: the run
    :param slo: the limits
    """
    limits = [
        _worst(result.phases, "max_error_share", slo.max_error_share or 0.0, _error_share),
        _worst(result.phases, "p99_ms", slo.p99_ms, _p99_ms),
        _worst(result.phases, "min_accuracy", slo.min_accuracy, _accuracy, sign=-1),
    ]
    return SloVerdict(result.completed, tuple(filter(None, limits)))


def _worst(
    phases: Sequence[PhaseResult],
    name: str,
    allowed: float | None,
    measure: Callable[[PhaseResult], float | None],
    sign: int = 1,
) -> Limit | None:
    if allowed is None:
        return None
    names = phase_names([phase.phase for phase in phases])
    found = [(measure(phase), name) for phase, name in zip(phases, names, strict=True)] or [(None, "no phase")]
    measured, phase = max(found, key=lambda one: float("inf") if one[0] is None else sign * one[0])
    excess = 0.0 if measured is None else max(0.0, sign * (measured - allowed))
    return Limit(name, allowed, measured, excess, phase)


def _error_share(phase: PhaseResult) -> float | None:
    # Requests that were abandoned by a stop are not errors.
    abandoned = phase.tally.errors[ABANDONED]
    sent = phase.tally.sent - abandoned
    return (phase.tally.errors.total() - abandoned) / sent if sent else None


def _p99_ms(phase: PhaseResult) -> float | None:
    return milliseconds(phase.tally.latency, 99) if phase.tally.answered else None


def _accuracy(phase: PhaseResult) -> float | None:
    return phase.tally.right / phase.tally.answered if phase.tally.answered else None
