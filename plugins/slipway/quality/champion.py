"""A new model beside the live one, on the same rows: what both made of them, and whether that suffices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.errors import GateFailed
from slipway.model.serving import Champion
from slipway.quality.scoring import Score

_ACCURACY, _RMSE = "accuracy", "rmse"


@dataclass(frozen=True)
class ChampionComparison:
    """What both models made of the same rows.

    :param metric: accuracy, or rmse, of which less is better
    :param live: None where the live model failed on a row
    :param misses: what the rule of the model file is broken by; empty where it is kept
    """

    metric: str
    rows: int
    candidate: float
    candidate_p99_ms: float
    live: float | None
    live_p99_ms: float | None
    rule: str
    misses: tuple[str, ...]

    def to_xcom(self) -> dict[str, Any]:
        """:returns: plain JSON; part of the XCom of ``test_dev``"""
        return {
            "metric": self.metric,
            "rows": self.rows,
            "candidate": self.candidate,
            "candidate_p99_ms": self.candidate_p99_ms,
            "live": self.live,
            "live_p99_ms": self.live_p99_ms,
            "rule": self.rule,
            "passed": not self.misses,
        }

    def record(self) -> Mapping[str, str]:
        """:returns: what is kept on the model package, beside the training's metrics"""
        live = "failed" if self.live is None else f"{self.live:.6g}"
        return {
            self.metric: f"{self.candidate:.6g}",
            f"live-{self.metric}": live,
            "latency-p99-ms": f"{self.candidate_p99_ms:.6g}",
            "live-latency-p99-ms": "failed" if self.live_p99_ms is None else f"{self.live_p99_ms:.6g}",
            "champion-rule": f"{self.rule}: {'kept' if not self.misses else 'broken'}",
        }

    def check(self, model_prefix: str) -> None:
        """Refuse a model that does not do well enough beside the live one.

        :param model_prefix: for the message
        :raises GateFailed: saying by how much
        """
        if self.misses:
            raise GateFailed(
                "The model does not stand up to the live one",
                resource=model_prefix,
                why=f"on the same {self.rows} rows " + "; ".join(self.misses),
                fix="train a better model, or change champion in the model file, and upload the zip again",
            )


def compare(rule: Champion, candidate: Score, live: Score | None, *, regression: bool) -> ChampionComparison:
    """Hold a model against the live one.

    :param rule: the model file's
    :param candidate: what the new model answered
    :param live: what the live one answered to the same rows; None where it failed on one: anything is better
    :param regression: whether the models answer with numbers, compared by rmse, or with classes
    :returns: both results, and what breaks the rule
    """
    metric = _RMSE if regression else _ACCURACY
    ours = candidate.rmse if regression else candidate.accuracy
    ours_ms = candidate.latency_ms(99)
    theirs = theirs_ms = None
    misses: list[str] = []
    if live is not None:
        theirs, theirs_ms = live.rmse if regression else live.accuracy, live.latency_ms(99)
        misses = [*_quality(rule, metric, ours, theirs), *_latency(rule, ours_ms, theirs_ms)]
    return ChampionComparison(
        metric, len(candidate.answers), ours, ours_ms, theirs, theirs_ms, _words(rule, metric), tuple(misses)
    )


def _quality(rule: Champion, metric: str, ours: float, theirs: float) -> list[str]:
    # Rounded, or 0.96 - 0.95 would be less than the 0.01 that a person sees.
    better = round((theirs - ours) if metric == _RMSE else (ours - theirs), 9)
    wanted = rule.better_by_at_least if rule.better_by_at_least is not None else -(rule.not_worse_than or 0)
    if better >= wanted:
        return []
    found = f"{abs(better):.4g} {'better' if better > 0 else 'worse'}" if better else "as good"
    return [f"its {metric} of {ours:.4g} is {found}, the live one's is {theirs:.4g}; expected {_words(rule, metric)}"]


def _latency(rule: Champion, ours_ms: float, theirs_ms: float) -> list[str]:
    allowed = rule.latency_p99_not_worse_than_ms
    if allowed is None or ours_ms - theirs_ms <= allowed:
        return []
    return [f"its p99 latency of {ours_ms:.1f} ms is more than {allowed:g} ms above the live one's {theirs_ms:.1f} ms"]


def _words(rule: Champion, metric: str) -> str:
    if rule.better_by_at_least is not None:
        return f"{metric} better by at least {rule.better_by_at_least:g}"
    return f"{metric} not worse by more than {rule.not_worse_than:g}"
