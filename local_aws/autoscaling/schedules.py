"""When a schedule expression is due: pure functions.

https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

_EXPRESSION = re.compile(r"(at|rate|cron)\((.+)\)")
_RATE = re.compile(r"([1-9]\d*) (minute|hour|day)s?")
_UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
# No day of a schedule is further away: 29 February may be eight years away.
_SEARCHED_DAYS = 366 * 9


class Schedule(Protocol):
    """The times of a scheduled action."""

    def next(self, after: float, start: float) -> float | None:
        """Return the next time.

        :param after: epoch seconds; only what is later counts
        :param start: from when a rate is counted, epoch seconds
        :returns: epoch seconds; None when there is no more
        """


@dataclass(frozen=True)
class At:
    """One time.

    :param moment: epoch seconds
    """

    moment: float

    def next(self, after: float, start: float) -> float | None:
        """Return the moment, if it is in the future."""
        return self.moment if self.moment > after else None


@dataclass(frozen=True)
class Rate:
    """At a fixed interval.

    :param seconds: between two times
    """

    seconds: float

    def next(self, after: float, start: float) -> float | None:
        """Return the first future multiple of the interval after the start."""
        passed = max(0.0, (after - start) // self.seconds)
        return start + (passed + 1) * self.seconds


@dataclass(frozen=True)
class Cron:
    """Calendar times.

    :param days: of the month; 0 for its last; None for any
    :param weekdays: 0 is Sunday; None for any
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    years: frozenset[int]
    zone: ZoneInfo

    def next(self, after: float, start: float) -> float | None:
        """Return the next calendar time."""
        day = datetime.fromtimestamp(after, self.zone).date()
        for _ in range(_SEARCHED_DAYS):
            if self._has(day):
                for moment in self._times(day):
                    if moment > after:
                        return moment
            day += timedelta(days=1)
        return None

    def _has(self, day: date) -> bool:
        if day.month not in self.months or day.year not in self.years:
            return False
        if self.weekdays is not None and day.isoweekday() % 7 not in self.weekdays:
            return False
        last = calendar.monthrange(day.year, day.month)[1]
        return self.days is None or day.day in self.days or (0 in self.days and day.day == last)

    def _times(self, day: date) -> Iterator[float]:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                local = datetime.combine(day, time(hour, minute), self.zone)
                # A time that the change to daylight saving time skips does not exist.
                if local.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                    yield local.timestamp()


def parse(expression: str, timezone: str | None) -> Schedule:
    """Read a schedule expression.

    :param expression: ``at(…)``, ``rate(…)`` or ``cron(…)``
    :param timezone: IANA's name; None for UTC
    :returns: the schedule
    :raises ValueError: it is invalid, or uses what is not offered here
    """
    zone = _zone(timezone)
    match = _EXPRESSION.fullmatch(expression.strip())
    if match is None:
        raise ValueError(f"{expression} is not an at(), rate() or cron() expression")
    kind, value = match[1], match[2].strip()
    if kind == "at":
        return At(datetime.strptime(value, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone).timestamp())
    if kind == "rate":
        rate = _RATE.fullmatch(value)
        if rate is None:
            raise ValueError(f"{value} is not a rate")
        return Rate(int(rate[1]) * _UNIT_SECONDS[rate[2]])
    return _cron(value, zone)


def _zone(timezone: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(timezone or "UTC")
    except (KeyError, OSError) as error:
        raise ValueError(f"{timezone} is not a time zone") from error


def _cron(value: str, zone: ZoneInfo) -> Cron:
    fields = value.upper().split()
    if len(fields) != 6:
        raise ValueError(f"cron({value}) has {len(fields)} fields instead of six")
    minutes, hours, days, months, weekdays, years = fields
    return Cron(
        minutes=_set(minutes, 0, 59),
        hours=_set(hours, 0, 23),
        days=None if days in ("*", "?") else frozenset({0}) if days == "L" else _set(days, 1, 31),
        months=_set(months, 1, 12, _MONTHS),
        # Day 1 of the week is Sunday.
        weekdays=None if weekdays in ("*", "?") else frozenset(n - 1 for n in _set(weekdays, 1, 7, _WEEKDAYS)),
        years=_set(years, 1970, 2199),
        zone=zone,
    )


def _set(field: str, low: int, high: int, names: list[str] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        if span == "*":
            first, last = low, high
        else:
            begin, _, end = span.partition("-")
            first = _number(begin, names)
            last = _number(end, names) if end else (high if step else first)
        if not low <= first <= last <= high:
            raise ValueError(f"{item} is not within {low} to {high}")
        found.update(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, names: list[str] | None) -> int:
    return names.index(text) + 1 if names and text in names else int(text)
