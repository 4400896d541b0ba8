"""Compare a new model with the live one on the same rows, by the champion rule of the model file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.errors import GateFailed
from slipway.formats.json_numbers import json_value, number_text
from slipway.model.serving import Champion
from slipway.quality.scoring import Score

_ACCURACY, _RMSE = "accuracy", "rmse"


@dataclass(frozen=True)
class ChampionComparison:
    """How both models answered the same rows.

    :param metric: accuracy, or rmse, where less is better
    :param live: None where the live model failed on a row
    :param misses: how the rule of the model file is broken; empty where it is kept
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
        """Return the comparison as plain JSON; it is part of the XCom of ``test_dev``."""
        return json_value(
            {
                "metric": self.metric,
                "rows": self.rows,
                "candidate": self.candidate,
                "candidate_p99_ms": self.candidate_p99_ms,
                "live": self.live,
                "live_p99_ms": self.live_p99_ms,
                "rule": self.rule,
                "passed": not self.misses,
            }
        )

    def record(self) -> Mapping[str, str]:
        """Return what the model package records beside the metrics of the training job."""
        live = "failed" if self.live is None else f"{self.live:.6g}"
        return {
            self.metric: f"{self.candidate:.6g}",
            f"live-{self.metric}": live,
            "latency-p99-ms": f"{self.candidate_p99_ms:.6g}",
            "live-latency-p99-ms": "failed" if self.live_p99_ms is None else f"{self.live_p99_ms:.6g}",
            "champion-rule": f"{self.rule}: {'kept' if not self.misses else 'broken'}",
        }

    def check(self, model_prefix: str) -> None:
        """Refuse a model that breaks the rule.

        :param model_prefix: for the message
        :raises GateFailed: saying by how much
        """
        if self.misses:
            raise GateFailed(
                "The model breaks the champion rule",
                resource=model_prefix,
                why=f"on the same {self.rows} rows " + "; ".join(self.misses),
                fix="train a better model, or change champion in the model file, and upload the zip again",
            )


def compare(rule: Champion, candidate: Score, live: Score | None, *, regression: bool) -> ChampionComparison:
    """Compare a model with the live one.

    :param rule: the model file's
    :param candidate: the answers of the new model
    :param live: the live model's answers to the same rows; None where it failed on one, so that every model is better
    :param regression: whether the models answer with numbers, compared by rmse, or with classes
    :returns: both results, and how they break the rule
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
    if not math.isfinite(theirs):
        # The live model's rmse is no number, so every number is better.
        return [] if math.isfinite(ours) else [f"its {metric} is {number_text(ours)}"]
    # Rounded: 0.96 - 0.95 is less than 0.01 in floating point.
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
