"""Check a training job's metrics and an endpoint's answers against the gates of the model file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.formats.json_numbers import number_text

if TYPE_CHECKING:
    from slipway.model.config import EndpointTest, MetricGate
    from slipway.quality.scoring import Score


@dataclass(frozen=True)
class GateResult:
    """One gate of the model file and the metric that the training job reported."""

    metric: str
    value: float | None
    minimum: float | None
    maximum: float | None
    passed: bool

    def __str__(self) -> str:
        bounds = [
            f"{name} {bound:g}"
            for name, bound in (("minimum", self.minimum), ("maximum", self.maximum))
            if bound is not None
        ]
        value = "not reported" if self.value is None else number_text(self.value)
        return f"{self.metric} is {value}, {' and '.join(bounds)}: {'passed' if self.passed else 'failed'}"


def judge_metrics(gates: Iterable[MetricGate], metrics: Mapping[str, float]) -> list[GateResult]:
    """Check the metrics against every gate; a metric that is missing or no finite number fails its gate.

    :param gates: The gates of the model file.
    :param metrics: Final metrics by name.
    :returns: One result for each gate.
    """
    return [_judge_metric(gate, metrics.get(gate.metric)) for gate in gates]


def _judge_metric(gate: MetricGate, value: float | None) -> GateResult:
    passed = (
        value is not None
        and math.isfinite(value)
        and (gate.minimum is None or value >= gate.minimum)
        and (gate.maximum is None or value <= gate.maximum)
    )
    return GateResult(gate.metric, value, gate.minimum, gate.maximum, passed)


def judge_answers(test: EndpointTest, score: Score) -> tuple[dict[str, Any], list[str]]:
    """Check an endpoint's answers against the gates of the model file's section ``test``.

    :param test: The section.
    :param score: What the endpoint answered.
    :returns: The figures with their gates, as plain JSON, and every gate that failed with by how much.
    """
    latency_ms = {"p50": score.latency_ms(50), "p99": score.latency_ms(99)}
    result: dict[str, Any] = {
        "rows": len(score.answers),
        "latency_ms": latency_ms,
        "variants": score.variants,
    }
    misses = []
    if test.rmse_maximum is not None:
        result |= {"rmse": score.rmse, "rmse_maximum": test.rmse_maximum}
        if not score.rmse <= test.rmse_maximum:
            above = f"{score.rmse - test.rmse_maximum:.4g} above" if math.isfinite(score.rmse) else "not at most"
            misses.append(f"rmse {number_text(score.rmse)} is {above} {test.rmse_maximum:g}")
    if test.accuracy_minimum is not None:
        result |= {"correct": score.correct, "accuracy": score.accuracy, "accuracy_minimum": test.accuracy_minimum}
        if score.accuracy < test.accuracy_minimum:
            misses.append(
                f"accuracy {score.accuracy:.4f} ({score.correct} of {len(score.answers)}) is"
                f" {test.accuracy_minimum - score.accuracy:.4f} below {test.accuracy_minimum:g}"
            )
    limit_ms = test.latency_p99_maximum_ms
    if limit_ms is not None and latency_ms["p99"] > limit_ms:
        misses.append(
            f"p99 latency {latency_ms['p99']:.1f} ms is {latency_ms['p99'] - limit_ms:.1f} ms above {limit_ms:g}"
        )
    return result, misses
