"""Labelled rows. Without Airflow, so that sending processes start fast."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.load.errors import UnreadableRows


@dataclass(frozen=True)
class Row:
    """One held-out row: the features to send and the expected label."""

    label: str
    features: str


def parse_row(line: str, where: str) -> Row:
    """Read one line of headerless CSV, label first, as SageMaker's built-in algorithms take it.

    https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html

    :param line: Such as ``2,6.3,3.3``.
    :param where: The file or object, for the error.
    :raises UnreadableRows: When the line is not a label and its features.
    """
    label, comma, features = line.strip().partition(",")
    if not comma:
        raise UnreadableRows(where, f"a line is not a label and its features: found {line[:80]!r}")
    return Row(label.strip(), features)
