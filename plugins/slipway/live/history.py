"""What the survey saw over time: one document an endpoint, of bounded size, in the survey's asset's state store.

Points are five minutes long for a day, and an hour long for a week. A point is stored when no value of it can be late
any more, so it is written once. What was missed while nobody looked is read again as far back as a look reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from slipway.errors import UnreadableDocument
from slipway.formats.stored import known, known_or_new, unreadable, versioned
from slipway.live.snapshot import Minute

# The keys in the state store: an endpoint's document, and the spans of time in which every endpoint's points are known.
_HISTORY = "history-"
RECORDED = "recorded"
# When each endpoint's document was written last: what is older than all of its points leaves the store.
WRITTEN = "written"
FINE, COARSE = timedelta(minutes=5), timedelta(hours=1)
FINE_FOR, COARSE_FOR = timedelta(days=1), timedelta(days=7)
# One look reads at most so far back: more values of a metric cost no more, and a call returns 100,800 of them.
# https://aws.amazon.com/cloudwatch/pricing/
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
READ_BACK = timedelta(hours=1)
# SageMaker's metrics may take a minute or two to arrive.
_LATE = timedelta(minutes=3)
# A document of so many variants stays below the 64 KiB that Airflow warns of; the template has two.
_VARIANTS = 4
_SPANS = 50

# The minutes with requests, by endpoint and variant.
Traffic = Mapping[str, Mapping[str, Sequence[Minute]]]


@dataclass(frozen=True)
class Point:
    """What a variant did in some minutes.

    :param at: when they began
    :param latency_p99_ms: the highest p99 of one of them
    """

    at: datetime
    requests: int
    errors: int = 0
    latency_p99_ms: float | None = None


@dataclass(frozen=True)
class _Columns:
    """Points as they are stored: a list for each member, because names would be most of the document.

    :param at: epoch seconds
    """

    at: tuple[int, ...] = ()
    requests: tuple[int, ...] = ()
    errors: tuple[int, ...] = ()
    latency_p99_ms: tuple[float | None, ...] = ()

    @classmethod
    def of(cls, points: Iterable[Point]) -> Self:
        rows = [(round(one.at.timestamp()), one.requests, one.errors, one.latency_p99_ms) for one in points]
        return cls(*zip(*rows, strict=True)) if rows else cls()

    def points(self) -> Iterator[Point]:
        try:
            rows = list(zip(self.at, self.requests, self.errors, self.latency_p99_ms, strict=True))
            for at, requests, errors, latency in rows:
                yield Point(datetime.fromtimestamp(at, UTC), requests, errors, latency)
        except (ValueError, OverflowError, OSError) as error:
            raise unreadable("history", str(error)) from error


@dataclass(frozen=True)
class _Stored:
    fine: _Columns = _Columns()
    coarse: _Columns = _Columns()


@dataclass(frozen=True)
class _Document:
    variants: dict[str, _Stored] = field(default_factory=dict)


@dataclass(frozen=True)
class VariantHistory:
    """The points of one variant, the oldest first; a time without requests has none."""

    fine: tuple[Point, ...] = ()
    coarse: tuple[Point, ...] = ()

    def with_points(self, points: Iterable[Point], now: datetime) -> Self:
        """Add points, each in place of one of the same time; those that are old become coarse."""
        fine = {one.at: one for one in (*self.fine, *points)}
        coarse = {one.at: one for one in self.coarse if one.at > now - COARSE_FOR - COARSE}
        old = sorted(at for at in fine if at <= now - FINE_FOR - FINE)
        for at in old:
            hour = begin_of(at, COARSE)
            coarse[hour] = joined(hour, filter(None, (coarse.get(hour), fine.pop(at))))
        return type(self)(_in_order(fine.values()), _in_order(coarse.values()))

    def points(self, length: timedelta) -> tuple[Point, ...]:
        """Return the fine points, or coarse ones made of all."""
        if length < COARSE:
            return self.fine
        hours: dict[datetime, list[Point]] = {}
        for one in (*self.coarse, *self.fine):
            hours.setdefault(begin_of(one.at, COARSE), []).append(one)
        return _in_order(joined(hour, found) for hour, found in hours.items())


@dataclass(frozen=True)
class History:
    """One endpoint's points, by variant."""

    variants: Mapping[str, VariantHistory] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what ``to_json`` returned; None is before the first point.

        :raises UnreadableDocument: when it is something else
        """
        stored = known(_Document, {} if value is None else value)
        return cls(
            {
                name: VariantHistory(tuple(one.fine.points()), tuple(one.coarse.points()))
                for name, one in stored.variants.items()
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        found = {
            name: {"fine": _lists(_Columns.of(one.fine)), "coarse": _lists(_Columns.of(one.coarse))}
            for name, one in self.variants.items()
        }
        return versioned({"variants": found})

    def with_points(self, points: Mapping[str, Iterable[Point]], now: datetime) -> Self:
        """Add points of some variants; those that had requests last are kept.

        :param points: by variant
        :param now: what is a day or a week older is made coarse, or left out
        """
        names = {*self.variants, *points}
        every = {
            name: self.variants.get(name, VariantHistory()).with_points(points.get(name, ()), now) for name in names
        }
        kept = {name: one for name, one in every.items() if one.fine or one.coarse}
        newest = sorted(
            sorted(kept), key=lambda name: max(point.at for point in (*kept[name].coarse, *kept[name].fine))
        )
        return type(self)({name: kept[name] for name in sorted(newest[-_VARIANTS:])})


@dataclass(frozen=True)
class Span:
    """A span of time in which somebody looked: a point that is missing there means no requests.

    :param begin: ISO 8601, UTC
    """

    begin: str
    end: str


@dataclass(frozen=True)
class Recorded:
    """The spans of time in which somebody looked, the oldest first."""

    spans: tuple[Span, ...] = ()

    @property
    def until(self) -> datetime | None:
        """Until when the points are known; None before the first ones."""
        return datetime.fromisoformat(self.spans[-1].end) if self.spans else None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned({"spans": [asdict(one) for one in self.spans]})

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what ``to_json`` returned; None and what cannot be read are before the first points."""
        try:
            found = known(cls, {} if value is None else value)
            for one in found.spans:
                datetime.fromisoformat(one.begin).astimezone(UTC), datetime.fromisoformat(one.end).astimezone(UTC)
        except (UnreadableDocument, ValueError):
            return cls()
        return found

    def with_span(self, begin: datetime, end: datetime) -> Self:
        """Add a span: one that begins where the last one ends makes that one longer."""
        spans = [one for one in self.spans if datetime.fromisoformat(one.end) > end - COARSE_FOR - COARSE]
        if self.until is not None and begin <= self.until and spans:
            begin = datetime.fromisoformat(spans.pop().begin)
        return type(self)((*spans, Span(begin.isoformat(), end.isoformat()))[-_SPANS:])


@dataclass(frozen=True)
class Written:
    """The day on which each endpoint's document was written last, ISO 8601, UTC."""

    endpoints: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what ``to_json`` returned; None and what cannot be read are before the first document."""
        return known_or_new(cls, value)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned(asdict(self))

    def after(self, written: Iterable[str], now: datetime) -> tuple[Self, list[str]]:
        """Note what was written, and find the documents of which no point is shown any more.

        :param written: the endpoints whose documents were written
        :param now: when
        :returns: what must be stored, and the endpoints whose documents must be deleted
        """
        every = {**self.endpoints, **dict.fromkeys(written, now.date().isoformat())}
        first = (now - COARSE_FOR - COARSE).date().isoformat()
        old = [name for name, day in every.items() if day < first]
        return type(self)({name: day for name, day in every.items() if day >= first}), old


def history_key(endpoint: str) -> str:
    """Return the key of an endpoint's document."""
    return f"{_HISTORY}{endpoint}"


def read_from(recorded: Recorded, now: datetime) -> datetime:
    """Return since when a look must read so that no point is missed."""
    earliest = begin_of(now - READ_BACK, FINE) + FINE
    return max(recorded.until, earliest) if recorded.until else earliest


def known_until(now: datetime) -> datetime:
    """Return the end of the newest point that is complete."""
    return begin_of(now - _LATE, FINE)


def points_of(traffic: Traffic, since: datetime, until: datetime) -> dict[str, dict[str, list[Point]]]:
    """Make points of minutes.

    :param traffic: the minutes with requests
    :param since: the beginning of the first point
    :param until: the end of the last one
    :returns: by endpoint and variant; what had no requests is left out
    """
    found: dict[str, dict[str, list[Point]]] = {}
    for endpoint, variants in traffic.items():
        for variant, minutes in variants.items():
            by_point: dict[datetime, list[Point]] = {}
            for one in minutes:
                at = datetime.fromisoformat(one.at)
                if since <= at < until:
                    point = Point(at, one.requests, one.errors, one.latency_p99_ms)
                    by_point.setdefault(begin_of(at, FINE), []).append(point)
            if by_point:
                points = _in_order(joined(at, ones) for at, ones in by_point.items())
                found.setdefault(endpoint, {})[variant] = list(points)
    return found


def joined(at: datetime, points: Iterable[Point]) -> Point:
    """Make one point of several.

    :param at: when it begins
    :param points: what it is made of
    """
    found = list(points)
    slowest = max((one.latency_p99_ms for one in found if one.latency_p99_ms is not None), default=None)
    return Point(at, sum(one.requests for one in found), sum(one.errors for one in found), slowest)


def begin_of(moment: datetime, length: timedelta) -> datetime:
    """Return the beginning of the point of this length that a moment is in."""
    seconds = length.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)


def _in_order(points: Iterable[Point]) -> tuple[Point, ...]:
    return tuple(sorted(points, key=lambda one: one.at))


def _lists(columns: _Columns) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in asdict(columns).items()}
