"""The figures of both variants of a trial, and the verdict of a rule on them, without AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from slipway.formats.stored import known, versioned
from slipway.names import LIVE_VARIANT, TRIAL_VARIANT
from slipway.states import TrialVerdict

if TYPE_CHECKING:
    from slipway.model.trial import TrialRule


@dataclass(frozen=True)
class VariantFigures:
    """What a variant did in a span of time.

    :param invocations: requests that were sent to it
    :param errors: requests that it answered with 4xx or 5xx
    :param labelled: answers whose ground truth is known
    :param right: answers that agree with it
    """

    invocations: int = 0
    errors: int = 0
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    labelled: int = 0
    right: int = 0

    @property
    def error_share(self) -> float:
        """The share of errors in the invocations; 0 without invocations."""
        return self.errors / self.invocations if self.invocations else 0.0

    @property
    def accuracy(self) -> float | None:
        """The share of correct answers; None where no ground truth is known."""
        return self.right / self.labelled if self.labelled else None

    def __str__(self) -> str:
        parts = [f"{self.invocations} invocations", f"{self.errors} errors ({self.error_share:.2%})"]
        parts += [
            f"{name} {value:.1f} ms"
            for name, value in (("p50", self.latency_p50_ms), ("p99", self.latency_p99_ms))
            if value is not None
        ]
        if self.accuracy is not None:
            parts.append(f"accuracy {self.accuracy:.4f} of {self.labelled}")
        return ", ".join(parts)


@dataclass(frozen=True)
class TrialComparison:
    """Both variants over the same time; the XCom of ``watch_trial``.

    :param began: ISO 8601, UTC
    :param ended: ISO 8601, UTC
    """

    live: VariantFigures
    trial: VariantFigures
    began: str
    ended: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned(asdict(self))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` returned."""
        return known(cls, value)

    def markdown(self) -> str:
        """Write both variants side by side, for the person who decides."""

        def number(value: float | None, form: str) -> str:
            return "-" if value is None else format(value, form)

        rows = [
            ("Invocations", str(self.live.invocations), str(self.trial.invocations)),
            ("Errors", *(f"{one.errors} ({one.error_share:.2%})" for one in (self.live, self.trial))),
            ("Latency p50 (ms)", *(number(one.latency_p50_ms, ".1f") for one in (self.live, self.trial))),
            ("Latency p99 (ms)", *(number(one.latency_p99_ms, ".1f") for one in (self.live, self.trial))),
            ("Answers with ground truth", str(self.live.labelled), str(self.trial.labelled)),
            ("Accuracy", *(number(one.accuracy, ".4f") for one in (self.live, self.trial))),
        ]
        head = f"| | {LIVE_VARIANT} (live) | {TRIAL_VARIANT} (new) |\n| --- | --- | --- |\n"
        return head + "\n".join(f"| {name} | {live} | {new} |" for name, live, new in rows)


@dataclass(frozen=True)
class Judgement:
    """The verdict of a rule, and its reasons."""

    verdict: TrialVerdict
    reasons: tuple[str, ...]


def judge(figures: TrialComparison, rule: TrialRule, *, needs_truth: bool) -> Judgement:
    """Judge a trial by the model file's rule.

    A model that is worse than the rule allows is retired. While figures are missing, both are kept.

    :param figures: both variants
    :param rule: the bounds
    :param needs_truth: whether the accuracy must be known, because the model file has ground truth
    """
    worse = list(filter(None, (_errors(figures, rule), _latency(figures, rule), _accuracy(figures, rule))))
    if worse:
        return Judgement(TrialVerdict.RETIRE, tuple(worse))
    unknown = [
        f"{name} had {one.invocations} invocations, the rule wants {rule.minimum_invocations}"
        for name, one in ((LIVE_VARIANT, figures.live), (TRIAL_VARIANT, figures.trial))
        if one.invocations < rule.minimum_invocations
    ]
    if rule.latency_p99_ratio is not None and None in (figures.live.latency_p99_ms, figures.trial.latency_p99_ms):
        unknown.append("CloudWatch has no p99 of ModelLatency for both variants")
    if needs_truth and None in (figures.live.accuracy, figures.trial.accuracy):
        unknown.append("no ground truth has arrived for both variants")
    if unknown:
        return Judgement(TrialVerdict.KEEP, tuple(unknown))
    return Judgement(TrialVerdict.PROMOTE, (f"{TRIAL_VARIANT} is within the rule's bounds: {figures.trial}",))


def error_limit(live: VariantFigures, rule: TrialRule) -> float:
    """Return the largest share of errors that the rule allows the new model."""
    return live.error_share + rule.error_share_margin


def _errors(figures: TrialComparison, rule: TrialRule) -> str | None:
    limit = error_limit(figures.live, rule)
    share = figures.trial.error_share
    if figures.trial.invocations < rule.minimum_invocations or share <= limit:
        return None
    return f"{share:.2%} of {TRIAL_VARIANT}'s answers are errors, the limit is {limit:.2%}"


def _latency(figures: TrialComparison, rule: TrialRule) -> str | None:
    live, new, ratio = figures.live.latency_p99_ms, figures.trial.latency_p99_ms, rule.latency_p99_ratio
    if live is None or new is None or ratio is None or figures.trial.invocations < rule.minimum_invocations:
        return None
    if new <= live * ratio:
        return None
    return f"p99 of {TRIAL_VARIANT} is {new:.1f} ms, the limit is {live * ratio:.1f} ms"


def _accuracy(figures: TrialComparison, rule: TrialRule) -> str | None:
    live, new = figures.live.accuracy, figures.trial.accuracy
    if live is None or new is None or new >= live - rule.accuracy_margin:
        return None
    return f"accuracy of {TRIAL_VARIANT} is {new:.4f}, the limit is {live - rule.accuracy_margin:.4f}"
