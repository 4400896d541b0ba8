"""Documents of the added services, in one SQLite file that survives a kill of the process."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from local_aws.framework.database import Database
from local_aws.framework.disk import Disk, DiskFull

Document = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """The account and region a document belongs to; names are unique within it.

    :param account_id: twelve digits
    :param region: an AWS region name
    """

    account_id: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        """Name a resource of this account and region.

        :param service: the ARN's service, such as ``sagemaker``
        :param resource: the ARN's last part, such as ``model/iris``
        :returns: the ARN
        """
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"


# Defined here because Collection.list hides the builtin inside the class.
Everywhere = list[tuple[Scope, str, Document]]
Page = list[tuple[str, Document]]
Conditions = list[tuple[str, str | float]]
# The part of a name up to its slash, such as the group of a version; empty for a name without one.
FAMILY = "substr(name, 1, instr(name, '/'))"
Result = TypeVar("Result")
# Greater than the CreationTime of any document.
_AFTER_ALL = (1e12, "")


class Collection:
    """Named documents of one kind; every write is on disk when the call returns."""

    def __init__(self, store: "Store", kind: str) -> None:
        self._store = store
        self._kind = kind

    def get(self, scope: Scope, name: str) -> Document | None:
        """Read one document.

        :param scope: whose document
        :param name: its name
        :returns: a copy of the document, None when there is none
        """
        rows = self._store.execute(
            "SELECT body FROM documents WHERE kind = ? AND account = ? AND region = ? AND name = ?",
            (self._kind, scope.account_id, scope.region, name),
        )
        return json.loads(rows[0][0]) if rows else None

    def put(self, scope: Scope, name: str, document: Document) -> None:
        """Write one document, replacing what was there.

        :param scope: whose document
        :param name: its name
        :param document: JSON values only; times as epoch seconds
        :raises DiskFull: there is no space, and a request waits for the answer
        """
        self._store.written(lambda: self._put(scope, name, document))

    def _put(self, scope: Scope, name: str, document: Document) -> None:
        self._store.execute(
            "INSERT OR REPLACE INTO documents (kind, account, region, name, body, created, status)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self._kind, scope.account_id, scope.region, name, json.dumps(document), *_columns(document)),
        )

    def create(self, scope: Scope, name: str, document: Document) -> bool:
        """Write one document unless the name is taken.

        :param scope: whose document
        :param name: its name
        :param document: JSON values only; times as epoch seconds
        :returns: False when the name was taken; nothing is changed then
        :raises DiskFull: as `put`
        """

        def work() -> bool:
            with self._store.lock:
                if self.get(scope, name) is not None:
                    return False
                self._put(scope, name, document)
                return True

        return self._store.written(work)

    def update(self, scope: Scope, name: str, change: Callable[[Document], None]) -> Document | None:
        """Read, change and write one document without another writer in between.

        :param scope: whose document
        :param name: its name
        :param change: edits the document in place; if it raises, the document stays as it was
        :returns: the document as written, None when there is none
        :raises DiskFull: as `put`
        """

        def work() -> Document | None:
            with self._store.lock:
                document = self.get(scope, name)
                if document is None:
                    return None
                change(document)
                self._put(scope, name, document)
                return document

        return self._store.written(work)

    def delete(self, scope: Scope, name: str) -> bool:
        """Remove one document.

        :param scope: whose document
        :param name: its name
        :returns: whether there was one
        :raises DiskFull: as `put`
        """

        def work() -> bool:
            with self._store.lock:
                existed = self.get(scope, name) is not None
                self._store.execute(
                    "DELETE FROM documents WHERE kind = ? AND account = ? AND region = ? AND name = ?",
                    (self._kind, scope.account_id, scope.region, name),
                )
                return existed

        return self._store.written(work)

    def list(self, scope: Scope) -> list[Document]:
        """Read the documents of one account and region.

        :param scope: whose documents
        :returns: copies, by name
        """
        rows = self._store.execute(
            "SELECT body FROM documents WHERE kind = ? AND account = ? AND region = ? ORDER BY name",
            (self._kind, scope.account_id, scope.region),
        )
        return [json.loads(body) for (body,) in rows]

    def newest(
        self,
        scope: Scope,
        count: int,
        before: tuple[float, str] | None = None,
        *,
        containing: str = "",
        under: str = "",
    ) -> Page:
        """Read a page of the documents of one account and region, without reading the others.

        :param scope: whose documents
        :param count: of the page
        :param before: CreationTime and name of the last one of the page before
        :param containing: only those with this text in their names
        :param under: only those whose names begin with this text
        :returns: name and a copy of each document, by CreationTime, the newest first
        """
        rows = self._store.execute(
            "SELECT name, body FROM documents WHERE kind = ? AND account = ? AND region = ?"
            " AND (created, name) < (?, ?) AND instr(name, ?) AND substr(name, 1, length(?)) = ?"
            " ORDER BY created DESC, name DESC LIMIT ?",
            (self._kind, scope.account_id, scope.region, *(before or _AFTER_ALL), containing, under, under, count),
        )
        return [(name, json.loads(body)) for name, body in rows]

    def page(
        self,
        scope: Scope,
        count: int,
        after: tuple[Any, ...] | None,
        *,
        by: str,
        descending: bool,
        conditions: Conditions,
    ) -> Page:
        """Read a page from an index, which costs the rows up to its end.

        :param scope: whose documents
        :param count: of the page
        :param after: of the last document of the page before, what the pages are ordered by
        :param by: ``created, name`` or ``name``
        :param descending: whether the last one comes first
        :param conditions: of SQL, each with its value
        :returns: name and a copy of each document
        """
        marks = ", ".join("?" for _ in by.split(","))
        wanted = [one for one, _ in conditions]
        if after is not None:
            wanted.append(f"({by}) {'<' if descending else '>'} ({marks})")
        order = ", ".join(f"{one} {'DESC' if descending else 'ASC'}" for one in by.split(","))
        rows = self._store.execute(
            "SELECT name, body FROM documents WHERE kind = ? AND account = ? AND region = ?"  # noqa: S608 (constants)
            f"{''.join(f' AND {one}' for one in wanted)} ORDER BY {order} LIMIT ?",
            (self._kind, scope.account_id, scope.region, *(value for _, value in conditions), *(after or ()), count),
        )
        return [(name, json.loads(body)) for name, body in rows]

    def count(self, scope: Scope) -> int:
        """Count the documents of one account and region.

        :param scope: whose documents
        """
        rows = self._store.execute(
            "SELECT COUNT(*) FROM documents WHERE kind = ? AND account = ? AND region = ?",
            (self._kind, scope.account_id, scope.region),
        )
        return int(rows[0][0])

    def everywhere(self) -> Everywhere:
        """Read the documents of all accounts and regions, for a start after a crash.

        :returns: scope, name and a copy of each document
        """
        rows = self._store.execute(
            "SELECT account, region, name, body FROM documents WHERE kind = ? ORDER BY account, region, name",
            (self._kind,),
        )
        return [(Scope(account, region), name, json.loads(body)) for account, region, name, body in rows]


_TABLE = (
    "CREATE TABLE IF NOT EXISTS documents (kind TEXT, account TEXT, region TEXT, name TEXT, body TEXT NOT NULL,"
    " created REAL NOT NULL DEFAULT 0, status TEXT, PRIMARY KEY (kind, account, region, name)) WITHOUT ROWID"
)

# The columns that earlier versions did not have.
_ADDED = {"created": "REAL NOT NULL DEFAULT 0", "status": "TEXT"}
# What lists are asked for by StatusEquals.
_STATUSES = ("TrainingJobStatus", "EndpointStatus")


class Store:
    """One SQLite file shared by the threads of the process.

    :param path: the file; created when missing
    :param disk: the disk it is on
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        self._database = Database(path, disk)
        # A change made under update() may read other documents.
        self.lock = self._database.lock
        # Whether the current thread is in `together`.
        self._joined = threading.local()
        self._database.change(self._create)

    def _create(self) -> None:
        """Make the table and the indexes, and add the columns that the file of an earlier version lacks."""
        rows = self._database.rows
        rows(_TABLE)
        columns = {row[1] for row in rows("PRAGMA table_info(documents)")}
        missing = [name for name in _ADDED if name not in columns]
        for name in missing:
            rows(f"ALTER TABLE documents ADD COLUMN {name} {_ADDED[name]}")
        if missing:
            for *key, body in rows("SELECT kind, account, region, name, body FROM documents"):
                rows(
                    "UPDATE documents SET created = ?, status = ?"
                    " WHERE kind = ? AND account = ? AND region = ? AND name = ?",
                    (*_columns(json.loads(body)), *key),
                )
        rows("CREATE INDEX IF NOT EXISTS documents_by_creation ON documents (kind, account, region, created)")
        rows(f"CREATE INDEX IF NOT EXISTS documents_by_family ON documents (kind, account, region, {FAMILY}, created)")
        rows(
            "CREATE INDEX IF NOT EXISTS documents_by_status ON documents (kind, account, region, status, created)"
            " WHERE status IS NOT NULL"
        )

    def collection(self, kind: str) -> Collection:
        """Open the documents of one kind.

        :param kind: such as ``training_jobs``
        :returns: the collection; it needs no creation
        """
        return Collection(self, kind)

    def execute(self, statement: str, arguments: tuple[str | float | None, ...]) -> list[tuple[str, ...]]:
        """Run one SQL statement.

        :param statement: SQL with ``?`` marks
        :param arguments: values of the marks
        :returns: the rows
        """
        if self._is_joined:
            # The transaction is tried again as a whole when there is no space.
            return self._database.rows(statement, arguments)
        with self.lock:
            return self._disk.write(lambda: self._database.rows(statement, arguments))

    def together(self, work: Callable[[], Result]) -> Result:
        """Write several documents: all of them, or none when the process dies, the disk is full or the work raises.

        :param work: reads and writes documents, and may be called again; nobody else writes meanwhile
        :returns: its result
        :raises DiskFull: as `Collection.put`
        """
        if self._is_joined:
            return work()

        def whole() -> Result:
            self._joined.inside = True
            try:
                return work()
            finally:
                self._joined.inside = False

        return self.written(lambda: self._database.change(whole))

    @property
    def _is_joined(self) -> bool:
        return getattr(self._joined, "inside", False)

    def written(self, work: Callable[[], Result]) -> Result:
        """Do what writes documents; a thread that no request waits for waits for space, without the lock.

        :param work: writes, and may be called again
        :returns: its result
        :raises DiskFull: there is no space, and nobody may wait
        """
        if self._is_joined:
            return work()
        while True:
            try:
                return work()
            except DiskFull:
                if not self._disk.wait():
                    raise

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        self._database.close()


def _columns(document: Document) -> tuple[float, str | None]:
    """Return what the indexes have of a document; SQLite cannot read all that Python writes as JSON."""
    return _created(document), next((document[name] for name in _STATUSES if name in document), None)


def _created(document: Document) -> float:
    """Return a document's CreationTime, 0 for one without."""
    created = document.get("CreationTime")
    return float(created) if isinstance(created, int | float) else 0.0
