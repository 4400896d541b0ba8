"""The golden set: rows that every release must predict correctly."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.errors import EndpointTestFailed
from slipway.quality.scoring import Prediction

# A person must be able to check the set row by row.
MAX_ROWS = 1000
_SHOWN_MAX = 5
_SHOWN_CHARS = 60


def check(answers: Sequence[Prediction], tolerance: float | None, endpoint_name: str) -> None:
    """Refuse a model that predicts a row of the golden set wrongly.

    :param answers: the rows' answers, in the order of the file
    :param tolerance: how far a number may be off; None where the class must be the expected one
    :param endpoint_name: for the message
    :raises EndpointTestFailed: naming the first rows by number, with what was expected and what was predicted
    """
    wrong = [
        f"row {number}: expected {_short(answer.label)}, got {_short(answer.prediction)}"
        for number, answer in enumerate(answers, start=1)
        if not _holds(answer, tolerance)
    ]
    if not wrong:
        return
    more = [f"{len(wrong) - _SHOWN_MAX} more"] if len(wrong) > _SHOWN_MAX else []
    raise EndpointTestFailed(
        f"The model predicts {len(wrong)} of {len(answers)} rows of the golden set wrongly",
        resource=endpoint_name,
        why="; ".join([*wrong[:_SHOWN_MAX], *more]),
        fix="train a model that predicts them correctly, or correct the set, and upload the zip again",
    )


def _holds(answer: Prediction, tolerance: float | None) -> bool:
    if tolerance is None:
        return answer.right
    try:
        return answer.distance <= tolerance
    except ValueError:
        return False


def _short(text: str) -> str:
    return ascii(text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…")
