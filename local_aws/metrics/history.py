"""The history of alarms, in the file of the metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from local_aws.framework.store import Scope
from local_aws.metrics.store import MetricStore

_COLUMNS = "alarm, kind, at, item, summary, data"


@dataclass(frozen=True)
class Change:
    """One item of an alarm's history.

    :param kind: AlarmType, such as ``MetricAlarm``
    :param at: epoch seconds
    :param item: HistoryItemType, such as ``StateUpdate``
    :param data: HistoryData, JSON
    """

    alarm: str
    kind: str
    at: float
    item: str
    summary: str
    data: str


@dataclass(frozen=True)
class Wanted:
    """Which items are wanted.

    :param alarm: of one alarm; None for all
    :param kinds: AlarmTypes; none for all
    :param item: HistoryItemType; None for all
    :param since: epoch seconds
    :param until: epoch seconds, inclusive
    """

    alarm: str | None = None
    kinds: Sequence[str] = ()
    item: str | None = None
    since: float | None = None
    until: float | None = None


class AlarmHistory:
    """The history of all alarms, those that are deleted as well; any thread may use it.

    :param store: whose file it is in
    """

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    def add(self, scope: Scope, change: Change) -> None:
        """Add an item.

        :raises DiskFull: there is no space
        """
        self._store.change(lambda: self.put([(scope, change)]))

    def put(self, changes: Iterable[tuple[Scope, Change]]) -> None:
        """Add items, in a transaction of the caller's."""
        for scope, change in changes:
            self._store.rows(
                f"INSERT INTO history (account, region, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                (
                    scope.account_id,
                    scope.region,
                    change.alarm,
                    change.kind,
                    change.at,
                    change.item,
                    change.summary,
                    change.data,
                ),
            )

    def page(
        self, scope: Scope, wanted: Wanted, most: int, *, descending: bool = True, start: int | None = None
    ) -> list[tuple[int, Change]]:
        """Return the first items from either end, without reading all that come after them.

        :param most: how many at most
        :param descending: whether the newest comes first
        :param start: the number of the first one; None for that at the end
        :returns: number and content of each
        """
        conditions: list[tuple[str, Sequence[str | float | None]]] = [
            ("account = ? AND region = ?", (scope.account_id, scope.region)),
            ("alarm = ?", (wanted.alarm,)),
            (f"kind IN ({', '.join('?' * len(wanted.kinds))})", wanted.kinds or (None,)),
            ("item = ?", (wanted.item,)),
            ("at >= ?", (wanted.since,)),
            ("at <= ?", (wanted.until,)),
            (f"id {'<=' if descending else '>='} ?", (start,)),
        ]
        used = [(text, values) for text, values in conditions if None not in values]
        rows = self._store.rows(
            f"SELECT id, {_COLUMNS} FROM history WHERE {' AND '.join(text for text, _ in used)}"  # noqa: S608
            f" ORDER BY id {'DESC' if descending else 'ASC'} LIMIT ?",
            [*(value for _, values in used for value in values), most],
        )
        return [(number, Change(*columns)) for number, *columns in rows]
