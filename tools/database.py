"""Check Airflow's own database, and fix the trigger ids of the SQLite file in the state folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from tools.settings import Settings

EXAMPLE = "postgresql+psycopg2://airflow:PASSWORD@127.0.0.1:5432/airflow"


class DatabaseError(Exception):
    """Airflow cannot use the database; the message says why and what to do, and shows no password."""


def check(settings: Settings) -> None:
    """Check, before anything starts, that Airflow has what it needs for SLIPWAY_DATABASE_URL.

    Airflow opens two connections to its database, one with the URL's driver and one with an asynchronous driver.
    https://airflow.apache.org/docs/apache-airflow/stable/howto/set-up-database.html

    :raises DatabaseError: when the URL is invalid or of an unknown kind, or a driver is missing.
    """
    if not settings.database_url:
        return
    # Imported here: most make targets do not need it.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):
        # Neither the URL nor the cause is shown: either may quote the password.
        raise DatabaseError(f"SLIPWAY_DATABASE_URL is not a database URL. One looks like this: {EXAMPLE} .") from None
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
