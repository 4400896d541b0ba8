"""Choose and check Airflow's own database, and fix the trigger ids of the SQLite file in the state folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from enum import Enum, auto
from importlib.util import find_spec
from pathlib import Path

from tools import postgres
from tools.settings import Settings

# The value of SLIPWAY_DATABASE_URL for the file in the state folder.
SQLITE = "sqlite"
EXAMPLE = "postgresql+psycopg2://airflow:PASSWORD@127.0.0.1:5432/airflow"


class DatabaseError(Exception):
    """Airflow cannot use the database; the message says why and what to do, and shows no password."""


class Kind(Enum):
    """Where Airflow keeps its state."""

    EMBEDDED = auto()  # the PostgreSQL that the supervisor runs
    FILE = auto()  # SQLite in the state folder
    GIVEN = auto()  # the server that SLIPWAY_DATABASE_URL names


def sqlite_file(settings: Settings) -> Path:
    """Return the SQLite database in the state folder."""
    return settings.airflow_home / "airflow.db"


def kind(settings: Settings) -> Kind:
    """Return which database this instance uses.

    A state folder keeps its database: one with only an SQLite file stays on SQLite.
    """
    if settings.database_url == SQLITE:
        return Kind.FILE
    if settings.database_url:
        return Kind.GIVEN
    if postgres.cluster(settings).exists():
        return Kind.EMBEDDED
    return Kind.FILE if sqlite_file(settings).exists() or postgres.obstacle() else Kind.EMBEDDED


def url(settings: Settings) -> str:
    """Return the URL of the database for Airflow."""
    match kind(settings):
        case Kind.EMBEDDED:
            return postgres.url(settings)
        case Kind.FILE:
            # How many seconds a writer waits for another's lock. A request holds up the whole API server while it
            # waits, so it must be short. Airflow itself switches the file to WAL mode.
            return f"sqlite:///{sqlite_file(settings)}?timeout=5"
        case Kind.GIVEN:
            return settings.database_url


def why_sqlite(settings: Settings) -> str | None:
    """Return a sentence about why the database is SQLite and what that means; None for another one."""
    if kind(settings) is not Kind.FILE:
        return None
    if settings.database_url == SQLITE:
        why = "as SLIPWAY_DATABASE_URL says"
    elif sqlite_file(settings).exists():
        why = "because this state folder has one ('make clean' and 'make up' start on PostgreSQL)"
    else:
        why = f"because {postgres.obstacle()}"
    return f"Airflow's database is SQLite, {why}. That is for a look only: under load, writes fail with 503."


def check(settings: Settings) -> None:
    """Check, before anything starts, that Airflow has what it needs for its database.

    Airflow opens two connections to its database, one with the URL's driver and one with an asynchronous driver.
    https://airflow.apache.org/docs/apache-airflow/stable/howto/set-up-database.html

    :raises DatabaseError: when the URL is invalid or of an unknown kind, a driver is missing, or the embedded
        PostgreSQL cannot run.
    """
    chosen = kind(settings)
    if chosen is Kind.EMBEDDED:
        try:
            postgres.check(settings)
        except postgres.PostgresError as error:
            raise DatabaseError(str(error)) from None
    if chosen is not Kind.GIVEN:
        return
    # Imported here: most make targets do not need it.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):
        # Neither the URL nor the cause is shown: either may quote the password.
        raise DatabaseError(
            f"SLIPWAY_DATABASE_URL is not a database URL. One looks like this: {EXAMPLE} . "
            "For the embedded PostgreSQL leave it empty; for a file in the state folder say sqlite."
        ) from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        return
    if backend != "postgresql":
        raise DatabaseError(
            f"SLIPWAY_DATABASE_URL names a {backend!r} database; Slipway runs on postgresql and sqlite."
        )
    # Without a driver in the URL, SQLAlchemy chooses one: psycopg since 2.1.
    missing = [name for name in (url.get_driver_name(), "asyncpg") if find_spec(name) is None]
    if missing:
        raise DatabaseError(
            f"For SLIPWAY_DATABASE_URL, Airflow needs the Python package{'s' * (len(missing) > 1)} "
            f"{' and '.join(missing)}, which is not installed. 'make setup' installs asyncpg and psycopg2-binary, as "
            "'pip install asyncpg psycopg2-binary' does elsewhere; the URL then begins with postgresql+psycopg2://."
        )


def keep_trigger_ids_unique(file: Path) -> None:
    """Make SQLite give every trigger an id of its own, as PostgreSQL does.

    Airflow delivers a trigger's event to the task that waits for the trigger's id. An answered approval's trigger
    fires seconds after its task has gone on, and SQLite reuses ids of deleted rows. So another task with the same id
    would be resumed by the approval's event, and its own trigger never started.
    https://www.sqlite.org/autoinc.html

    :param file: Airflow's database, with its tables, used by no process
    """
    with closing(sqlite3.connect(file)) as database:
        (table,) = database.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'trigger'"
        ).fetchone()
    if "AUTOINCREMENT" in table:
        return
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        # Python's driver does not begin a transaction before a table is created or dropped.
        connection.exec_driver_sql("BEGIN")
        operations = Operations(MigrationContext.configure(connection))
        # SQLite cannot change the key of a table: Alembic makes another table and copies the rows.
        # https://alembic.sqlalchemy.org/en/latest/batch.html
        with operations.batch_alter_table("trigger", recreate="always", table_kwargs={"sqlite_autoincrement": True}):
            pass
    engine.dispose()
