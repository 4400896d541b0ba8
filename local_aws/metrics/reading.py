"""Reads the statistics of a metric's periods: no more rows than the periods have.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from local_aws.metrics.points import Point, is_percentile, percentile, samples
from local_aws.metrics.store import Metric, MetricStore

_NUMBER = "CAST((at - ?) / ? AS INTEGER)"
_WITHIN = "metric = ? AND at >= ? AND at < ? AND count > 0 AND (? IS NULL OR unit = ?)"
# Where only some datapoints are wanted, at least so many periods are looked at together.
_LEAST_PERIODS = 1440


@dataclass(frozen=True)
class Asked:
    """Which periods of a metric are read.

    :param start: epoch seconds
    :param end: epoch seconds, exclusive
    :param period: in seconds
    :param unit: of the points; None for all
    :param origin: where a period begins, `start` or earlier; epoch seconds
    """

    metric: Metric
    start: float
    end: float
    period: float
    unit: str | None = None
    origin: float = 0.0


@dataclass(frozen=True)
class Datapoint:
    """The statistics of a period.

    :param start: of the period, epoch seconds
    """

    start: float
    unit: str
    statistics: dict[str, float]


def datapoints(
    store: MetricStore, asked: Asked, statistics: Sequence[str], *, by_unit: bool = False
) -> list[Datapoint]:
    """Return statistics of the periods that have data, the oldest first.

    :param statistics: such as ``Sum`` or ``p99``; a period lacks those that cannot be calculated
    :param by_unit: whether a period has a datapoint for each unit
    """
    number = store.number(asked.metric)
    if number is None:
        return []
    where = (asked.origin, asked.period, number, asked.start, asked.end)
    units = asked.unit, asked.unit
    found = store.rows(
        f"SELECT {_NUMBER} AS number, min(unit), sum(count), sum(total), min(least), max(most) FROM points"  # noqa: S608
        f" WHERE {_WITHIN} GROUP BY number{', unit' if by_unit else ''} ORDER BY number",
        (*where, *units),
    )
    values: dict[tuple[int, str], list[Point]] = {}
    if found and any(map(is_percentile, statistics)):
        for period, *members in store.rows(
            f"SELECT {_NUMBER}, at, unit, count, total, least, most, distribution FROM points WHERE {_WITHIN}",  # noqa: S608
            (*where, *units),
        ):
            point = Point(*members)
            values.setdefault((period, point.unit if by_unit else ""), []).append(point)
    return [
        Datapoint(
            asked.origin + period * asked.period,
            unit,
            _statistics(statistics, whole, values.get((period, unit if by_unit else ""), [])),
        )
        for period, unit, *whole in found
    ]


def page(
    store: MetricStore, asked: Asked, statistic: str, most: int, *, descending: bool
) -> tuple[list[tuple[float, float]], bool]:
    """Return the first datapoints, without reading all that come after them; periods begin at their multiples.

    :param most: how many are wanted at most
    :param descending: whether the newest comes first
    :returns: start and value of each, and whether there may be more
    """
    found: list[tuple[float, float]] = []
    width = max(most, _LEAST_PERIODS) * asked.period
    edge = asked.end if descending else asked.start
    while (edge > asked.start) if descending else (edge < asked.end):
        # Periods are not cut: the parts begin at multiples of their width.
        if descending:
            start = max(asked.start, (math.ceil(edge / width) - 1) * width)
            part, edge = replace(asked, start=start, end=edge), start
        else:
            end = min(asked.end, (math.floor(edge / width) + 1) * width)
            part, edge = replace(asked, start=edge, end=end), end
        values = [
            (one.start, one.statistics[statistic])
            for one in datapoints(store, part, [statistic])
            if statistic in one.statistics
        ]
        found += reversed(values) if descending else values
        if len(found) > most:
            return found[:most], True
    return found, False


def _statistics(wanted: Sequence[str], whole: Sequence[Any], points: Sequence[Point]) -> dict[str, float]:
    count, total, least, most = whole
    known = {"SampleCount": count, "Sum": total, "Average": total / count, "Minimum": least, "Maximum": most}
    found = {name: known[name] for name in wanted if name in known}
    percentiles = [name for name in wanted if is_percentile(name)]
    if percentiles and (values := samples(points)):
        found |= {name: percentile(values, float(name[1:])) for name in percentiles}
    return found
