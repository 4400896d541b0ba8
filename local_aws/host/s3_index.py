"""What S3 knows about objects, in one SQLite file: a call reads and writes what it is about, whatever else there is.

A call's files have other names at first. The transaction that changes the index says which names they get, so a call
takes effect as a whole or not at all, whenever the process is killed.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from local_aws.framework.database import Database
from local_aws.framework.disk import Disk

Record = dict[str, Any]
# Account and bucket.
Holder = tuple[str, str]

_TABLES = (
    "CREATE TABLE IF NOT EXISTS objects (account TEXT, bucket TEXT, key BLOB, body TEXT NOT NULL,"
    " PRIMARY KEY (account, bucket, key)) WITHOUT ROWID",
    # The newest version of a key has the greatest number.
    "CREATE TABLE IF NOT EXISTS versions (account TEXT, bucket TEXT, key BLOB, number INTEGER, version TEXT NOT NULL,"
    " body TEXT NOT NULL, PRIMARY KEY (account, bucket, key, number)) WITHOUT ROWID",
    "CREATE UNIQUE INDEX IF NOT EXISTS versions_by_id ON versions (account, bucket, key, version)",
    "CREATE TABLE IF NOT EXISTS notes (kind TEXT, account TEXT, bucket TEXT, key BLOB, version TEXT,"
    " body TEXT NOT NULL, PRIMARY KEY (kind, account, bucket, key, version)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS moves (body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY)",
)
# ruff: noqa: S608 (statements are made of constants, and values are bound)
_OF_KEY = "account = ? AND bucket = ? AND key = ?"


class S3Index:
    """The file.

    :param path: the file; created when missing
    :param disk: the disk it is on
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        self._database = Database(path, disk, _TABLES)
        # Statements and rows that they read, for tests.
        self.work = 0
        self._in_call = False
        moves = self._run("SELECT body FROM moves")
        for (body,) in moves:
            _move(**json.loads(body))
        # Whether there are moves that have been made; the next change forgets them, because a start may have no space.
        self._moved = bool(moves)
        # What is committed and could not be done yet.
        self._left: tuple[list[tuple[str, str]], list[str]] = ([], [])

    # --- transactions -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Let what follows take effect with `commit`, and not at once."""
        self._in_call = True

    def commit(self, moves: list[tuple[str, str]], removed: list[str]) -> None:
        """Keep what was changed, and give files their names.

        :param moves: from which name to which
        :param removed: files that are no longer there
        :raises sqlite3.Error: nothing was changed
        :raises OSError: a file could not get its name, and gets it with the next change or start
        :raises DiskFull: as OSError
        """
        self._finish()
        if moves or removed:
            if self._moved:
                self._change("DELETE FROM moves")
            self._change("INSERT INTO moves VALUES (?)", json.dumps({"moves": moves, "removed": removed}))
            self._moved = True
        with self._database.lock:
            if self._database.connection.in_transaction:
                self._database.rows("COMMIT")
            self._in_call = False
        self._left = moves, removed
        self._finish()

    def _finish(self) -> None:
        if any(self._left):
            self._disk.write(lambda: _move(*self._left))
            self._left = [], []

    def roll_back(self) -> bool:
        """Forget what was changed since `begin`; return False where it is committed already."""
        with self._database.lock, suppress(sqlite3.Error):
            is_open, self._in_call = self._in_call, False
            if self._database.connection.in_transaction:
                self._database.rows("ROLLBACK")
        return is_open

    def _change(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._database.lock:
            if self._in_call and not self._database.connection.in_transaction:
                self._database.rows("BEGIN")
        return self._run(statement, *values)

    def _run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        found = self._database.rows(statement, values)
        self.work += 1 + len(found)
        return found

    def knows(self, fact: str) -> bool:
        """Tell whether something was noted of this file."""
        return bool(self._run("SELECT 1 FROM facts WHERE name = ?", fact))

    def learn(self, fact: str) -> None:
        """Note something of this file."""
        self._change("INSERT OR IGNORE INTO facts VALUES (?)", fact)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # --- current objects --------------------------------------------------------------------------------------------

    def holders(self) -> Iterator[Holder]:
        """Return account and bucket of all current objects, one after the other."""
        holder: Holder = "", ""
        while True:
            found = self._run(
                "SELECT account, bucket FROM objects WHERE account = ? AND bucket > ? ORDER BY bucket LIMIT 1", *holder
            ) or self._run(
                "SELECT account, bucket FROM objects WHERE account > ? ORDER BY account, bucket LIMIT 1", holder[0]
            )
            if not found:
                return
            [holder] = found
            yield holder

    def object(self, holder: Holder, key: str) -> Record | None:
        """Return the current object of a key, without its content; None if there is none."""
        found = self._run(f"SELECT body FROM objects WHERE {_OF_KEY}", *holder, as_bytes(key))
        return {**json.loads(found[0][0]), "body": None} if found else None

    def keys(self, holder: Holder) -> Iterator[str]:
        """Return the keys of a bucket's current objects in their order, one after the other."""
        key = self.next_object(holder, "", at=True)
        while key is not None:
            yield key
            key = self.next_object(holder, key, at=False)

    def count_objects(self, holder: Holder, most: int) -> int:
        """Count a bucket's current objects, up to a number."""
        some = "SELECT 1 FROM objects WHERE account = ? AND bucket = ? LIMIT ?"
        return int(self._run(f"SELECT count(*) FROM ({some})", *holder, most)[0][0])

    def put_object(self, holder: Holder, key: str, record: Record) -> None:
        """Keep the current object of a key."""
        self._change("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", *holder, as_bytes(key), json.dumps(record))

    def remove_object(self, holder: Holder, key: str) -> None:
        """Forget the current object of a key."""
        self._change(f"DELETE FROM objects WHERE {_OF_KEY}", *holder, as_bytes(key))

    def next_object(self, holder: Holder, key: str | bytes, *, at: bool) -> str | None:
        """Return the first key of a current object that is greater than a text, or equal to it with `at`."""
        return self._next("objects", holder, key, at=at)

    def next_key(self, holder: Holder, key: str | bytes, *, at: bool) -> str | None:
        """Return the first key as `next_object` does, of those too that only have versions."""
        found = [self._next(table, holder, key, at=at) for table in ("objects", "versions")]
        return min((one for one in found if one is not None), key=as_bytes, default=None)

    def _next(self, table: str, holder: Holder, key: str | bytes, *, at: bool) -> str | None:
        found = self._run(
            f"SELECT key FROM {table} WHERE account = ? AND bucket = ? AND key {'>=' if at else '>'} ?"
            " ORDER BY key LIMIT 1",
            *holder,
            key if isinstance(key, bytes) else as_bytes(key),
        )
        return _text(found[0][0]) if found else None

    # --- versions ---------------------------------------------------------------------------------------------------

    def add_version(self, holder: Holder, key: str, version: Record) -> None:
        """Make a version the newest of its key."""
        kept = {name: value for name, value in version.items() if name not in ("data", "is_latest")}
        self._change(
            "INSERT INTO versions SELECT ?1, ?2, ?3, 1 + ifnull(max(number), 0), ?4, ?5 FROM versions"
            " WHERE account = ?1 AND bucket = ?2 AND key = ?3",
            *holder,
            as_bytes(key),
            version["version_id"],
            json.dumps(kept),
        )

    def version(self, holder: Holder, key: str, version: str) -> Record | None:
        """Return one version; the newest is said to be."""
        found = self._run(
            f"SELECT body, number, (SELECT max(number) FROM versions WHERE {_OF_KEY}) FROM versions"
            f" WHERE {_OF_KEY} AND version = ?",
            *(*holder, as_bytes(key)) * 2,
            version,
        )
        return _version(found[0][0], latest=found[0][1] == found[0][2]) if found else None

    def remove_version(self, holder: Holder, key: str, version: str) -> None:
        """Forget one version."""
        self._change(f"DELETE FROM versions WHERE {_OF_KEY} AND version = ?", *holder, as_bytes(key), version)

    def newest(self, holder: Holder, key: str, count: int, after: str = "") -> list[Record]:
        """Return versions of a key, the newest first.

        :param count: at most so many
        :param after: only those older than this one, named by its id or by a `marker`
        """
        older = ""
        values: list[Any] = []
        _, _, number = after.partition(".")
        if number.isdecimal():
            older, values = " AND number < ?", [int(number)]
        elif after:
            older = f" AND number < (SELECT number FROM versions WHERE {_OF_KEY} AND version = ?)"
            values = [*holder, as_bytes(key), after]
        found = self._run(
            f"SELECT body FROM versions WHERE {_OF_KEY}{older} ORDER BY number DESC LIMIT ?",
            *holder,
            as_bytes(key),
            *values,
            count,
        )
        return [_version(body, latest=not after and place == 0) for place, (body,) in enumerate(found)]

    def marker(self, holder: Holder, key: str, version: str) -> str:
        """Name a version so that lists go on after it, even if it is deleted or replaced meanwhile."""
        of = (*holder, as_bytes(key), version)
        found = self._run(f"SELECT number FROM versions WHERE {_OF_KEY} AND version = ?", *of)
        return f"{version}.{found[0][0]}" if found else version

    def count(self, holder: Holder, key: str) -> int:
        """Count the versions of a key."""
        return int(self._run(f"SELECT count(*) FROM versions WHERE {_OF_KEY}", *holder, as_bytes(key))[0][0])

    def has_versions(self, holder: Holder) -> bool:
        """Tell whether a bucket has a version of any key."""
        return bool(self._run("SELECT 1 FROM versions WHERE account = ? AND bucket = ? LIMIT 1", *holder))

    # --- notes on versions ------------------------------------------------------------------------------------------

    def note(self, kind: str, holder: Holder, key: str, version: str | None) -> Any:
        """Return what is noted of a version, such as its tags; None if nothing is."""
        found = self._run(
            f"SELECT body FROM notes WHERE kind = ? AND {_OF_KEY} AND version = ?",
            kind,
            *holder,
            as_bytes(key),
            version or "",
        )
        return json.loads(found[0][0]) if found else None

    def put_note(self, kind: str, holder: Holder, key: str, version: str | None, value: Any) -> None:
        """Note something of a version; None for nothing."""
        named = (kind, *holder, as_bytes(key), version or "")
        if value is None:
            self._change(f"DELETE FROM notes WHERE kind = ? AND {_OF_KEY} AND version = ?", *named)
        else:
            self._change("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?, ?, ?)", *named, json.dumps(value))

    def noted(self, kind: str, account: str) -> list[tuple[str, str, str | None]]:
        """Return bucket, key and version of all notes of an account."""
        found = self._run("SELECT bucket, key, version FROM notes WHERE kind = ? AND account = ?", kind, account)
        return [(bucket, _text(key), version or None) for bucket, key, version in found]


def _move(moves: list[tuple[str, str]], removed: list[str]) -> None:
    """Give files their names; those that have them already stay as they are."""
    for partial, path in moves:
        with suppress(FileNotFoundError):
            Path(partial).replace(path)
    for path in removed:
        # Another key's folder may have this name.
        if Path(path).is_file():
            Path(path).unlink()


def _version(body: str, *, latest: bool) -> Record:
    return {**json.loads(body), "is_latest": latest, "data": None}


def as_bytes(key: str) -> bytes:
    """Return the bytes of a key, which are ordered as S3 orders keys."""
    return key.encode("utf-8", "surrogatepass")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")
