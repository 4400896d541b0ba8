"""How well an endpoint predicted, by accuracy or rmse, and how fast it answered."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from slipway.errors import EndpointTestFailed
from slipway.load.rows import is_right


@dataclass(frozen=True)
class Prediction:
    """One row: its label, what the endpoint predicted, by which variant, and how long it took."""

    label: str
    prediction: str
    variant: str
    latency_ms: float


@dataclass(frozen=True)
class Score:
    """The figures of a set of predictions."""

    answers: Sequence[Prediction]

    @property
    def correct(self) -> int:
        """The number of rows with the correct class."""
        return sum(is_right(answer.label, answer.prediction) for answer in self.answers)

    @property
    def accuracy(self) -> float:
        """The share of rows with the correct class."""
        return self.correct / len(self.answers)

    @property
    def rmse(self) -> float:
        """The root of the mean squared error, for numbers instead of classes.

        :raises slipway.errors.EndpointTestFailed: When an answer or a label is not one number.
        """
        try:
            errors = [float(answer.label) - float(answer.prediction) for answer in self.answers]
        except ValueError as error:
            raise EndpointTestFailed("A row or its answer is not a number", why=str(error)) from error
        # A product that is too large is infinite; a power would raise.
        return math.sqrt(statistics.fmean(error * error for error in errors))

    @property
    def variants(self) -> dict[str, int]:
        """How many rows each variant answered."""
        return dict(sorted(Counter(answer.variant for answer in self.answers).items()))

    def latency_ms(self, percent: int) -> float:
        """A percentile of the latencies, by the nearest rank.

        :param percent: 1 to 100.
        :returns: Milliseconds, to three decimals.
        """
        ranked = sorted(answer.latency_ms for answer in self.answers)
        return round(ranked[math.ceil(len(ranked) * percent / 100) - 1], 3)
