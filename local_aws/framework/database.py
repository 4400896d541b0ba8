"""SQLite files that survive a kill of the process."""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from local_aws.framework.disk import Disk

Result = TypeVar("Result")


class Database:
    """One SQLite file; any thread may use it.

    :param path: the file; created when missing
    :param disk: the disk it is on
    :param tables: the statements that create what is not there yet
    """

    def __init__(self, path: Path, disk: Disk, tables: Iterable[str] = ()) -> None:
        self.disk = disk
        # Re-entrant: what holds it may read on.
        self.lock = threading.RLock()
        self.connection = _open(path)
        for statement in tables:
            disk.write(lambda statement=statement: self.rows(statement))  # type: ignore[misc]

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one SQL statement and return its rows.

        :param statement: SQL with ``?`` marks
        :param values: those of the marks
        """
        with self.lock, closing(self.connection.execute(statement, values)) as cursor:
            return cursor.fetchall()

    def change(self, work: Callable[[], Result]) -> Result:
        """Do some work in one transaction.

        :param work: writes, and may be called twice
        :returns: its result
        :raises DiskFull: there is no space, and nothing is changed
        """

        def whole() -> Result:
            with self.connection:
                self.connection.execute("BEGIN")
                return work()

        with self.lock:
            return self.disk.write(whole)

    def close(self) -> None:
        """Close the file, which cannot be used afterwards."""
        with self.lock:
            self.connection.close()


def _open(path: Path) -> sqlite3.Connection:
    """Open a file that only this process uses; every statement is its own transaction unless one was begun."""
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    # Only this process uses the file. Without shared memory it opens on a full disk, too.
    # https://www.sqlite.org/wal.html#use_of_wal_without_shared_memory
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    # In WAL mode a committed write survives the death of the process without an fsync for each.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection
