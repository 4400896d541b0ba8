"""Numbers from outside in JSON, which has none for NaN and the infinities: they are texts there, as in AWS's own JSON.

https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def json_value(value: Any) -> Any:
    """Return a value as JSON takes it: NaN, Infinity and -Infinity as texts, also inside objects and lists."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return value


def number_of(value: Any) -> float:
    """Read a number as AWS or ``json_value`` writes it; a missing one, or something else, is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def number_text(value: float) -> str:
    """Write a number for people, to six digits."""
    if math.isfinite(value):
        return f"{value:.6g}"
    return "not a number" if math.isnan(value) else f"{'' if value > 0 else '-'}infinite"
