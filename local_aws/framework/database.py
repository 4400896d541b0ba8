"""SQLite files that survive a kill of the process."""

import sqlite3
from pathlib import Path


def open_database(path: Path) -> sqlite3.Connection:
    """Open a file that only this process uses; every statement is its own transaction unless one was begun.

    :param path: the file; created when missing
    """
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    # Only this process uses the file. Without shared memory it opens on a full disk, too.
    # https://www.sqlite.org/wal.html#use_of_wal_without_shared_memory
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    # In WAL mode a committed write survives the death of the process without an fsync for each.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection
