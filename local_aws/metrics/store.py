"""The metrics' points in a SQLite file of their own: they are added at once, and read by metric and time.

Its cost follows what is put or asked for. Nothing reads or writes the points of former times again but `retention`,
once for each resolution.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from local_aws.framework.database import Database
from local_aws.framework.disk import Disk
from local_aws.framework.store import Scope
from local_aws.metrics.points import Point

Result = TypeVar("Result")
Row = tuple[Any, ...]

_TABLES = (
    "CREATE TABLE IF NOT EXISTS metrics (id INTEGER PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL,"
    " namespace TEXT NOT NULL, name TEXT NOT NULL, dimensions TEXT NOT NULL,"
    " UNIQUE (account, region, namespace, name, dimensions))",
    # `part` tells points of one metric and time apart.
    "CREATE TABLE IF NOT EXISTS points (metric INTEGER, at REAL, part INTEGER, unit TEXT NOT NULL, count REAL NOT NULL,"
    " total REAL NOT NULL, least REAL NOT NULL, most REAL NOT NULL, distribution BLOB, PRIMARY KEY (metric, at, part))"
    " WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS history (id INTEGER PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL,"
    " alarm TEXT NOT NULL, kind TEXT NOT NULL, at REAL NOT NULL, item TEXT NOT NULL, summary TEXT NOT NULL,"
    " data TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS history_of_alarm ON history (account, region, alarm)",
    "CREATE INDEX IF NOT EXISTS history_by_time ON history (at)",
    "CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",
)
_ADD = (
    "INSERT INTO points SELECT ?1, ?2, coalesce(max(part) + 1, 0), ?3, ?4, ?5, ?6, ?7, ?8 FROM points"
    " WHERE metric = ?1 AND at = ?2"
)


@dataclass(frozen=True)
class Metric:
    """What identifies a metric: each set of dimensions is one of its own.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Dimension

    :param dimensions: names and values, by name
    """

    scope: Scope
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, scope: Scope, namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
        """Name a metric by its dimensions in any order."""
        return cls(scope, namespace, name, tuple(sorted(dimensions.items())))

    @property
    def _key(self) -> tuple[str, ...]:
        return (
            self.scope.account_id,
            self.scope.region,
            self.namespace,
            self.name,
            json.dumps(self.dimensions, separators=(",", ":")),
        )


class MetricStore:
    """The points of all metrics; any thread may use it.

    :param path: the file; created when missing
    :param disk: the disk it is on
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._database = Database(path, disk, _TABLES)
        # How many rows were read, for tests of what a reader costs.
        self.rows_read = 0

    def add(self, data: Iterable[tuple[Metric, Point]]) -> None:
        """Add points, all of them or none.

        :raises DiskFull: there is no space
        """
        added = list(data)
        self.change(lambda: self.put(added))

    def put(self, data: Iterable[tuple[Metric, Point]]) -> None:
        """Add points, in a transaction of the caller's."""
        points: dict[Metric, list[Point]] = {}
        for metric, point in data:
            points.setdefault(metric, []).append(point)
        for metric, added in points.items():
            self.insert(self._number_of_new(metric), added)

    def insert(self, number: int, points: Iterable[Point]) -> None:
        """Add points of a metric, in a transaction of the caller's.

        :param number: of the metric
        """
        with self._database.lock, closing(self._database.connection.cursor()) as cursor:
            cursor.executemany(
                _ADD,
                (
                    (number, one.at, one.unit, one.count, one.total, one.least, one.most, one.distribution)
                    for one in points
                ),
            )

    def mark(self, name: str) -> float:
        """Return until when something is done, 0 if it was never done."""
        found = self.rows("SELECT at FROM marks WHERE name = ?", (name,))
        return float(found[0][0]) if found else 0.0

    def set_mark(self, name: str, at: float) -> None:
        """Keep until when something is done, in a transaction of the caller's."""
        self.rows("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, at))

    def change(self, work: Callable[[], Result]) -> Result:
        """Do some work in one transaction.

        :param work: writes, and may be called twice
        :returns: its result
        :raises DiskFull: there is no space, and nothing is changed
        """
        return self._database.change(work)

    def rows(self, statement: str, arguments: Sequence[Any] = ()) -> list[Row]:
        """Run one SQL statement and return its rows."""
        with self._database.lock:
            found = self._database.rows(statement, arguments)
            self.rows_read += len(found)
            return found

    def listed(
        self, scope: Scope, namespace: str | None, name: str | None, since: float, after: int
    ) -> Iterator[tuple[int, Metric]]:
        """Return metrics with points since a time, in the order in which they were put first.

        :param namespace: theirs; None for all
        :param name: theirs; None for all
        :param since: epoch seconds
        :param after: the number of the last one that is not wanted
        :returns: number and metric of each
        """
        size = 500
        while found := self.rows(
            "SELECT id, namespace, name, dimensions FROM metrics WHERE account = ? AND region = ? AND id > ?"
            " AND (? IS NULL OR namespace = ?) AND (? IS NULL OR name = ?)"
            " AND EXISTS (SELECT 1 FROM points WHERE metric = id AND at >= ?) ORDER BY id LIMIT ?",
            (scope.account_id, scope.region, after, namespace, namespace, name, name, since, size),
        ):
            for number, space, called, dimensions in found:
                after = number
                yield number, Metric(scope, space, called, tuple((key, value) for key, value in json.loads(dimensions)))
            if len(found) < size:
                return

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        self._database.close()

    def number(self, metric: Metric) -> int | None:
        """Return the number of a metric, None if nothing was put of it."""
        found = self.rows(
            "SELECT id FROM metrics WHERE account = ? AND region = ? AND namespace = ? AND name = ? AND dimensions = ?",
            metric._key,
        )
        return int(found[0][0]) if found else None

    def _number_of_new(self, metric: Metric) -> int:
        known = self.number(metric)
        if known is not None:
            return known
        return int(
            self.rows(
                "INSERT INTO metrics (account, region, namespace, name, dimensions) VALUES (?, ?, ?, ?, ?)"
                " RETURNING id",
                metric._key,
            )[0][0]
        )
