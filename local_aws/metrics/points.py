"""What was put of a metric at one time, and the statistics of such points: pure functions.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from local_aws.compute.endpoint_metrics import condensed

# Value and how often it occurred.
Samples = list[tuple[float, float]]


@dataclass(frozen=True)
class Point:
    """The values of a metric at one time.

    :param at: epoch seconds
    :param count: how many values there are
    :param total: their sum
    :param distribution: the values and how often each occurred, where these are known and the rest does not say it
    """

    at: float
    unit: str
    count: float
    total: float
    least: float
    most: float
    distribution: bytes | None = None


def of_values(at: float, unit: str, values: Sequence[float], counts: Sequence[float] | None = None) -> Point:
    """Return the point of some values.

    :param counts: how often each occurred; once if it is left out
    """
    times = list(counts) if counts else [1.0] * len(values)
    pairs = list(zip(values, times, strict=True))
    total = sum(value * count for value, count in pairs)
    point = Point(at, unit, sum(times), total, min(values), max(values))
    return point if point.least == point.most else replace(point, distribution=_encoded(pairs))


def of_statistics(at: float, unit: str, given: Mapping[str, float]) -> Point:
    """Return the point of a statistic set, of whose values no more is known.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_StatisticSet.html
    """
    count, total, least, most = (float(given.get(name, 0)) for name in ("SampleCount", "Sum", "Minimum", "Maximum"))
    return Point(at, unit, count, total, least, most)


def merged(at: float, points: Sequence[Point]) -> Point:
    """Return one point for several of one unit, as CloudWatch aggregates old ones.

    Sum, count, minimum and maximum stay as they are. Percentiles change by one per cent at most, and only if there are
    more values than one datum may have.

    :param at: its time
    """
    found = samples(points)
    filled = [point for point in points if point.count > 0] or points
    whole = Point(
        at,
        points[0].unit,
        sum(point.count for point in points),
        sum(point.total for point in points),
        min(point.least for point in filled),
        max(point.most for point in filled),
    )
    if found is None or whole.least == whole.most:
        return whole
    counts: Counter[float] = Counter()
    for value, count in found:
        counts[value] += count  # type: ignore[assignment]
    return replace(whole, distribution=_encoded(sorted(condensed(counts).items())))


def samples(points: Iterable[Point]) -> Samples | None:
    """Return the values by which percentiles are calculated.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html: none for negative
    values, and for statistic sets only where all values are the same.

    :returns: None where CloudWatch has no percentiles
    """
    found: Samples = []
    for point in points:
        if point.count <= 0:
            continue
        if point.least < 0:
            return None
        if point.distribution is not None:
            found += [(value, count) for value, count in _decoded(point.distribution) if count > 0]
        elif point.least == point.most and math.isclose(point.total, point.least * point.count):
            found.append((point.least, point.count))
        else:
            return None
    return found or None


def is_percentile(name: str) -> bool:
    """Tell whether a statistic is a percentile, such as ``p99.9``."""
    return name[:1] in ("p", "P") and name[1:].replace(".", "", 1).isdigit()


def percentile(found: Samples, percent: float) -> float:
    """Calculate a percentile, by linear interpolation between the two nearest ranks.

    :param percent: 0 to 100
    """
    ordered = sorted(found)
    rank = percent / 100 * max(0.0, sum(count for _, count in ordered) - 1)
    lower, share = int(rank), rank - int(rank)
    seen, low = 0.0, None
    for value, count in ordered:
        seen += count
        if low is None and lower < seen:
            low = value
        if low is not None and (not share or lower + 1 < seen):
            return low + share * (value - low)
    return ordered[-1][0]


def _encoded(pairs: Iterable[tuple[float, float]]) -> bytes:
    return zlib.compress(array("d", [number for pair in pairs for number in pair]).tobytes(), 1)


def _decoded(distribution: bytes) -> Iterable[tuple[float, float]]:
    numbers = array("d")
    numbers.frombytes(zlib.decompress(distribution))
    return zip(numbers[::2], numbers[1::2], strict=True)
