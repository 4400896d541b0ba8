"""Keeps metrics as long as CloudWatch does: older points are aggregated to coarser ones, the oldest are deleted.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#metrics-retention
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from functools import partial

from local_aws.framework.disk import DiskFull
from local_aws.metrics.points import Point, merged
from local_aws.metrics.store import MetricStore

HOUR_SECONDS = 3600
DAY_SECONDS = 24 * HOUR_SECONDS
# A resolution in seconds, and for how long finer points are available.
RESOLUTIONS = ((60, 3 * HOUR_SECONDS), (300, 15 * DAY_SECONDS), (HOUR_SECONDS, 63 * DAY_SECONDS))
KEPT_SECONDS = 455 * DAY_SECONDS
# Of alarms. AWS's pages name two weeks and 30 days.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
HISTORY_SECONDS = 30 * DAY_SECONDS
# A pass gives way to the calls in between: its transactions are short, and it works for a part of the time only.
_STEP_SECONDS = 6 * HOUR_SECONDS
_PAUSES_PER_WORK = 3

_log = logging.getLogger(__name__)


def available_since(period: float, now: float) -> float:
    """Return since when points of a period are available, for it must be a multiple of their resolution.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html, Period

    :param period: in seconds
    :param now: epoch seconds
    """
    return now - next((seconds for resolution, seconds in RESOLUTIONS if period % resolution), KEPT_SECONDS)


def resolution_at(at: float, now: float) -> int:
    """Return the resolution of the points of a time, in seconds.

    :param at: epoch seconds
    :param now: epoch seconds
    """
    return max((resolution for resolution, seconds in RESOLUTIONS if at < now - seconds), default=1)


class Retention:
    """Aggregates and deletes old points in its own thread, once an hour.

    :param store: the points
    """

    def __init__(self, store: MetricStore) -> None:
        self._store = store
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._each_hour, name="metric-retention", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what is left of a pass is done in the next one."""
        self._stopping.set()
        if self._thread:
            self._thread.join()

    def keep(self, now: float) -> Iterator[None]:
        """Aggregate and delete what has become old enough, a little with each step.

        :param now: epoch seconds
        """
        metrics = [row[0] for row in self._store.rows("SELECT id FROM metrics")]
        for resolution, seconds in RESOLUTIONS:
            name = f"aggregated to {resolution} s"
            until = _hour(now - seconds)
            since = self._store.mark(name)
            if since >= until:
                continue
            for metric in metrics:
                yield from self._aggregate(metric, resolution, since, until)
            self._store.change(partial(self._store.set_mark, name, until))
        for metric in metrics:
            self._store.change(partial(self._delete, metric, _hour(now - KEPT_SECONDS)))
            yield
        self._store.change(lambda: self._store.rows("DELETE FROM history WHERE at < ?", (now - HISTORY_SECONDS,)))
        unused = "DELETE FROM metrics WHERE NOT EXISTS (SELECT 1 FROM points WHERE metric = metrics.id)"
        self._store.change(lambda: self._store.rows(unused))

    def _aggregate(self, metric: int, resolution: int, since: float, until: float) -> Iterator[None]:
        """Aggregate the points of a metric between two times, those of a few hours with each step."""
        while found := self._store.rows(
            "SELECT min(at) FROM points WHERE metric = ? AND at >= ? AND at < ?", (metric, since, until)
        )[0]:
            if found[0] is None:
                return
            first = math.floor(found[0] / resolution) * resolution
            since = min(first + _STEP_SECONDS, until)
            self._store.change(partial(self._replace, metric, resolution, first, since))
            yield

    def _delete(self, metric: int, before: float) -> None:
        self._store.rows("DELETE FROM points WHERE metric = ? AND at < ?", (metric, before))

    def _replace(self, metric: int, resolution: int, start: float, end: float) -> None:
        groups: dict[tuple[float, str], list[Point]] = {}
        for row in self._store.rows(
            "SELECT at, unit, count, total, least, most, distribution FROM points"
            " WHERE metric = ? AND at >= ? AND at < ?",
            (metric, start, end),
        ):
            point = Point(*row)
            groups.setdefault((math.floor(point.at / resolution) * resolution, point.unit), []).append(point)
        if all(len(points) == 1 and points[0].at == at for (at, _), points in groups.items()):
            return
        self._store.rows("DELETE FROM points WHERE metric = ? AND at >= ? AND at < ?", (metric, start, end))
        self._store.insert(metric, (merged(at, points) for (at, _), points in groups.items()))

    def _each_hour(self) -> None:
        while not self._stopping.is_set():
            try:
                self._pass(time.time())
            except DiskFull:
                # The disk says so in the log, and the next pass goes on.
                pass
            except Exception:
                _log.exception("Old metrics were not aggregated")
            now = time.time()
            self._stopping.wait(_hour(now) + HOUR_SECONDS - now)

    def _pass(self, now: float) -> None:
        began = time.monotonic()
        for _ in self.keep(now):
            if self._stopping.wait(min(1.0, _PAUSES_PER_WORK * (time.monotonic() - began))):
                return
            began = time.monotonic()


def _hour(at: float) -> float:
    return math.floor(at / HOUR_SECONDS) * HOUR_SECONDS
