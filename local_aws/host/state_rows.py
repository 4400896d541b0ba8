"""The rows of ministack's state in one SQLite file."""

import ast
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from local_aws.framework.database import Database
from local_aws.framework.disk import Disk

# Of an entry: the state, the member of it, and the key with its account and region; None for a member that is one
# entry.
Name = tuple[str, str, tuple[Any, ...] | None]
# Name, part and text; None for a part that is gone, with ALL_PARTS for all of the entry.
Row = tuple[Name, str, str | None]
ALL_PARTS = "*"

_TABLES = (
    "CREATE TABLE IF NOT EXISTS formats (state TEXT PRIMARY KEY, format INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS entries (place INTEGER PRIMARY KEY, state TEXT NOT NULL, member TEXT NOT NULL,"
    " key TEXT NOT NULL, part TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS entries_by_name ON entries (state, member, key, part)",
    # A start reads the states one by one, each in the order of its rows.
    "CREATE INDEX IF NOT EXISTS entries_by_state ON entries (state)",
)


class StateRows:
    """The file.

    :param path: the file; created when missing
    :param disk: the disk it is on
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._database = Database(path, disk, _TABLES)

    def format_of(self, state: str) -> int | None:
        """Return the format that a state was saved in, None for one that was not."""
        found = self._database.rows("SELECT format FROM formats WHERE state = ?", (state,))
        return int(found[0][0]) if found else None

    def read(self, state: str) -> Iterator[tuple[Name, str, str]]:
        """Return name, part and text of each row of a state, in the order in which they came."""
        rows = self._database.connection.execute(
            "SELECT member, key, part, body FROM entries WHERE state = ? ORDER BY place", (state,)
        ).fetchall()
        # All keys are parsed at once, which takes a tenth of the time.
        keys = json.loads(f"[{','.join([key or 'null' for _, key, _, _ in rows])}]")
        for (member, _, part, body), key in zip(rows, keys, strict=True):
            yield (state, member, _key(key)), part, body

    def write(self, changes: Iterable[Row], formats: Iterable[tuple[str, int]]) -> None:
        """Write all changes or none.

        :param changes: the rows; those that are gone go first
        :param formats: of each state that is changed
        :raises DiskFull: there is no space
        """
        kept, gone = [], []
        for (state, member, key), part, text in changes:
            name = state, member, _text(key), part
            if text is None:
                gone.append((*name, ALL_PARTS))
            else:
                kept.append((*name, text))

        def work() -> None:
            many = self._database.connection.executemany
            many("DELETE FROM entries WHERE state = ?1 AND member = ?2 AND key = ?3 AND (part = ?4 OR ?4 = ?5)", gone)
            many(
                "INSERT INTO entries (state, member, key, part, body) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (state, member, key, part) DO UPDATE SET body = excluded.body",
                kept,
            )
            many("INSERT OR REPLACE INTO formats VALUES (?, ?)", formats)

        self._database.change(work)

    def forget(self, members: Iterable[tuple[str, str]]) -> None:
        """Remove all rows of some members.

        :param members: state and member of each
        :raises DiskFull: there is no space
        """

        def work() -> None:
            for one in members:
                self._database.rows("DELETE FROM entries WHERE state = ? AND member = ?", one)

        self._database.change(work)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _text(key: tuple[Any, ...] | None) -> str:
    """Write a key, whose last part may be a tuple."""
    return "" if key is None else json.dumps([*key[:-1], key[-1] if isinstance(key[-1], str) else [repr(key[-1])]])


def _key(parsed: list[Any] | None) -> tuple[Any, ...] | None:
    if parsed is None:
        return None
    *scope, last = parsed
    return (*scope, ast.literal_eval(last[0]) if isinstance(last, list) else last)
