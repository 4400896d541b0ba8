"""Labelled rows. Without Airflow, so that sending processes start fast."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slipway.load.errors import UnreadableRows

# https://www.rfc-editor.org/rfc/rfc4180#section-2
_QUOTED_LABEL = re.compile(r'"(?P<label>(?:[^"]|"")*)"\s*,(?P<features>.*)')


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
    text = line.strip()
    if quoted := _QUOTED_LABEL.fullmatch(text):
        label, features = quoted["label"].replace('""', '"'), quoted["features"]
    else:
        label, _, features = text.partition(",")
    if not label.strip() or not features.strip() or (text.startswith('"') and not quoted):
        raise UnreadableRows(where, f"a line is not a label and its features: found {line[:80]!r}")
    return Row(label.strip(), features)
