"""What an endpoint has to keep to under load, and whether it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.load.drive import ABANDONED
from slipway.load.plan import figure, title
from slipway.load.result import LoadResult, PhaseResult
from slipway.load.tally import milliseconds


@dataclass(frozen=True)
class Slo:
    """Limits; None for none, but errors are allowed only by a limit.

    Latency and accuracy count answers alone: without a limit for errors an endpoint would keep to both by answering
    next to nothing.

    :param max_error_share: of the requests, 0 to 1; None for 0
    :param p99_ms: of the latencies, in milliseconds
    :param min_accuracy: of the answers, 0 to 1
    """

    max_error_share: float | None = None
    p99_ms: float | None = None
    min_accuracy: float | None = None


@dataclass(frozen=True)
class Limit:
    """One limit and the phase that came nearest to it, or broke it most.

    :param name: the field of `Slo`
    :param allowed: what the limit is
    :param measured: None where nothing could be measured
    :param excess: by how much the limit is broken; 0 where it is kept
    :param phase: in which it was measured
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
            return f"{self.name} is {figure(self.allowed)}, but nothing was answered in {self.phase}"
        by = f", broken by {figure(self.excess, 4)}" if not self.passed else ""
        return f"{self.name} is {figure(self.allowed)}, measured {figure(self.measured, 4)} in {self.phase}{by}"

    def to_json(self) -> dict[str, Any]:
        """:returns: the limit in a report"""
        return {
            "name": self.name,
            "allowed": self.allowed,
            "measured": self.measured,
            "passed": self.passed,
            "phase": self.phase,
        }


@dataclass(frozen=True)
class SloVerdict:
    """What a run says about an endpoint.

    :param completed: whether all that was planned was sent
    :param limits: those that were set, and the one for errors
    """

    completed: bool
    limits: tuple[Limit, ...]

    @property
    def broken(self) -> tuple[Limit, ...]:
        """The limits that were not kept; none for what an early end has left unmeasured."""
        measured = [limit for limit in self.limits if self.completed or limit.measured is not None]
        return tuple(limit for limit in measured if not limit.passed)

    @property
    def passed(self) -> bool:
        """Whether everything was sent and every limit kept."""
        return self.completed and not self.broken

    def to_json(self) -> dict[str, Any]:
        """:returns: the verdict in a report"""
        return {"passed": self.passed, "limits": [limit.to_json() for limit in self.limits]}


def verdict(result: LoadResult, slo: Slo) -> SloVerdict:
    """Hold each phase of a run against the limits; the worst one counts, so that a long phase cannot hide a short one.

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
    found = [(measure(phase), title(phase.phase)) for phase in phases] or [(None, "no phase")]
    measured, phase = max(found, key=lambda one: float("inf") if one[0] is None else sign * one[0])
    excess = 0.0 if measured is None else max(0.0, sign * (measured - allowed))
    return Limit(name, allowed, measured, excess, phase)


def _error_share(phase: PhaseResult) -> float | None:
    # What a stop has abandoned is nobody's error.
    abandoned = phase.tally.errors[ABANDONED]
    sent = phase.tally.sent - abandoned
    return (phase.tally.errors.total() - abandoned) / sent if sent else None


def _p99_ms(phase: PhaseResult) -> float | None:
    return milliseconds(phase.tally.latency, 99) if phase.tally.answered else None


def _accuracy(phase: PhaseResult) -> float | None:
    return phase.tally.right / phase.tally.answered if phase.tally.answered else None
