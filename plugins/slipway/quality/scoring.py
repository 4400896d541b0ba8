"""How well an endpoint predicted, by accuracy or rmse, and how fast it answered."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from slipway.errors import EndpointTestFailed
from slipway.load.answers import Answers, is_right, number


@dataclass(frozen=True)
class Prediction:
    """One row: its label, what the endpoint predicted, by which variant, how long it took, and what it means."""

    label: str
    prediction: str
    variant: str
    latency_ms: float
    answers: Answers = Answers.UNKNOWN

    @property
    def right(self) -> bool:
        """Whether the endpoint predicted the label's class."""
        return is_right(self.label, self.prediction, self.answers)

    @property
    def distance(self) -> float:
        """How far the prediction is from the label.

        :raises ValueError: When one of them is not one number.
        """
        return abs(number(self.label) - number(self.prediction))


@dataclass(frozen=True)
class Score:
    """The figures of a set of predictions."""

    answers: Sequence[Prediction]

    @property
    def correct(self) -> int:
        """The number of rows with the correct class."""
        return sum(answer.right for answer in self.answers)

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
            distances = [answer.distance for answer in self.answers]
        except ValueError as error:
            raise EndpointTestFailed(
                "A row or its answer is not a number",
                why=str(error),
                fix="correct the rows of test.data; a classifier needs test.accuracy_minimum in its model file instead "
                "of test.rmse_maximum",
            ) from error
        # A product that is too large is infinite; a power would raise, and so does the mean.
        try:
            return math.sqrt(statistics.fmean(distance * distance for distance in distances))
        except OverflowError:
            return math.inf

    def check(self, *, regression: bool) -> None:
        """Check that these answers have an rmse, or an accuracy.

        :param regression: which of the two is needed
        :raises slipway.errors.EndpointTestFailed: When they have not.
        """
        if regression:
            _ = self.rmse
        elif not all(answer.answers.name_a_class for answer in self.answers):
            raise EndpointTestFailed(
                "The answers name no classes",
                why="the model was trained for another task",
                fix="give a regression test.rmse_maximum in its model file instead of test.accuracy_minimum, or train "
                "with an objective of classes",
            )

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
