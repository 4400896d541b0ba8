"""A training job's final metrics against the gates of the model file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slipway.model.config import MetricGate


@dataclass(frozen=True)
class GateResult:
    """One gate of the model file, held against what the training job reported."""

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
        value = "not reported" if self.value is None else f"{self.value:g}"
        return f"{self.metric} is {value}, {' and '.join(bounds)}: {'passed' if self.passed else 'failed'}"


def judge(gates: Iterable[MetricGate], metrics: Mapping[str, float]) -> list[GateResult]:
    """Hold every gate against the metrics; a metric that is missing or not a number fails its gate.

    :param gates: The gates of the model file.
    :param metrics: Final metrics by name.
    :returns: One result for each gate.
    """
    return [_judge_one(gate, metrics.get(gate.metric)) for gate in gates]


def _judge_one(gate: MetricGate, value: float | None) -> GateResult:
    passed = (
        value is not None
        and not math.isnan(value)
        and (gate.minimum is None or value >= gate.minimum)
        and (gate.maximum is None or value <= gate.maximum)
    )
    return GateResult(gate.metric, value, gate.minimum, gate.maximum, passed)
