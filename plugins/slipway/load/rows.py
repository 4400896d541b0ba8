"""Labelled rows, and whether a prediction is correct. Without Airflow, so that sending processes start fast."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One held-out row: the features to send and the expected label."""

    label: str
    features: str


def parse_row(line: str) -> Row | None:
    """Read one line of headerless CSV, label first, as SageMaker's built-in algorithms take it.

    https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html

    :param line: Such as ``2,6.3,3.3``.
    :returns: The row, or None where the line is not a label and its features.
    """
    label, comma, features = line.strip().partition(",")
    return Row(label.strip(), features) if comma else None


def is_right(label: str, prediction: str) -> bool:
    """Return whether a prediction names the class of a label.

    Classifiers answer with a class, with the probability of class 1, or with one probability for each class.
    https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html

    :param label: The expected label.
    :param prediction: The endpoint's answer for one row.
    :returns: Whether they name the same class.
    """
    try:
        values = numbers(prediction)
        # A single number is a class, or the probability of class 1 of two: the nearest whole number either way.
        chosen = values.index(max(values)) if len(values) > 1 else math.floor(values[0] + 0.5)
        return float(label) == chosen
    except (ValueError, OverflowError):
        return label == prediction.strip()


def numbers(prediction: str) -> list[float]:
    """Read an answer of one or more numbers.

    :param prediction: Numbers separated by commas, in brackets or not.
    :returns: The numbers.
    :raises ValueError: When it holds anything else.
    """
    return [float(part) for part in prediction.strip().strip("[]").split(",")]
