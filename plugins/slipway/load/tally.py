"""Count the outcomes of requests, with latencies in HDR histograms that merge without loss.

https://hdrhistogram.github.io/HdrHistogram/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hdrh.histogram import HdrHistogram

# Microseconds, to three digits: up to an hour, which a request in a stalled open loop may wait.
_LOWEST_US, _HIGHEST_US, _DIGITS = 1, 3_600_000_000, 3
# Three digits need as many bits as tell 2 000 values apart.
_EXACT_BITS = 11
_EXACT = 2**_EXACT_BITS
PERCENTILES = (50, 90, 95, 99, 99.9)


def histogram() -> HdrHistogram:
    """Return an empty histogram; all of them can be added to each other."""
    return HdrHistogram(_LOWEST_US, _HIGHEST_US, _DIGITS)


def milliseconds(latencies: HdrHistogram, percentile: float) -> float:
    """Return a percentile in milliseconds, or 0 where nothing was recorded."""
    return several_milliseconds(latencies, percentile)[0]


def several_milliseconds(latencies: HdrHistogram, *percentiles: float) -> list[float]:
    """Return percentiles in milliseconds, or zeros; each pass over a histogram's counts takes longer than a request."""
    if not latencies.get_total_count():
        return [0.0] * len(percentiles)
    found = latencies.get_percentile_to_value_dict(percentiles)
    return [found[percentile] / 1000 for percentile in percentiles]


def _recorded(seconds: float) -> int:
    """Return the lowest value in microseconds that the histogram does not tell from this one.

    Recording a value costs ten times as much as counting it. The histogram keeps the first _EXACT_BITS bits.
    """
    value = max(_LOWEST_US, round(seconds * 1e6))
    return value if value < _EXACT else value >> (lost := value.bit_length() - _EXACT_BITS) << lost


def _record(latencies: HdrHistogram, counts: Mapping[int, int]) -> None:
    for value, count in counts.items():
        latencies.record_value(min(value, _HIGHEST_US), count)


@dataclass
class Tally:
    """The counts of a period of time, of one process or of several merged.

    :param sent: requests sent
    :param rights: correct answers by variant
    :param variants: answers by variant
    :param errors: requests without an answer of the model, by kind
    :param latency: histogram of answers, from when the request was due
    :param service: histogram of answers, from when the request was sent
    """

    sent: int = 0
    rights: Counter[str] = field(default_factory=Counter)
    variants: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    latency: HdrHistogram = field(default_factory=histogram)
    service: HdrHistogram = field(default_factory=histogram)
    _latencies: Counter[int] = field(default_factory=Counter)
    _services: Counter[int] = field(default_factory=Counter)

    @property
    def answered(self) -> int:
        """The number of requests that the model answered."""
        return self.variants.total()

    @property
    def right(self) -> int:
        """The number of correct answers: those that name the row's label."""
        return self.rights.total()

    def answer(self, variant: str, right: bool, latency_seconds: float, service_seconds: float) -> None:
        """Count an answer.

        :param variant: the variant that gave it
        :param right: whether it names the row's label
        :param latency_seconds: since the request was due
        :param service_seconds: since it was sent
        """
        self.variants[variant] += 1
        if right:
            self.rights[variant] += 1
        # Recorded in the histograms by settle(), equal ones at once, which is faster.
        self._latencies[latency := _recorded(latency_seconds)] += 1
        # In a closed loop both times are the same.
        self._services[latency if service_seconds == latency_seconds else _recorded(service_seconds)] += 1

    def settle(self) -> Tally:
        """Record the latencies counted so far in the histograms.

        :returns: itself
        """
        _record(self.latency, self._latencies)
        _record(self.service, self._services)
        self._latencies.clear()
        self._services.clear()
        return self

    def add(self, other: Tally) -> None:
        """Add the counts of another tally."""
        other.settle()
        self.settle()
        self.sent += other.sent
        self.rights += other.rights
        self.variants += other.variants
        self.errors += other.errors
        self.latency.add(other.latency)
        self.service.add(other.service)

    def to_message(self) -> dict[str, Any]:
        """Return counts that are not settled as JSON, latencies as pairs: microseconds, and how often it took so long.

        Who reads them makes the histograms, because the process that sends has no time for it.
        """
        return {
            "sent": self.sent,
            "rights": dict(self.rights),
            "variants": dict(self.variants),
            "errors": dict(self.errors),
            "latency": list(self._latencies.items()),
            "service": list(self._services.items()),
        }

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Tally:
        """Read what `to_message` wrote."""
        return cls(
            sent=message["sent"],
            rights=Counter(message["rights"]),
            variants=Counter(message["variants"]),
            errors=Counter(message["errors"]),
            _latencies=Counter(dict(message["latency"])),
            _services=Counter(dict(message["service"])),
        ).settle()


def merged(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total
