"""Airflow's own database, where it is not the file in the state folder: can it be used at all?"""

from __future__ import annotations

from importlib.util import find_spec

from tools.settings import Settings

EXAMPLE = "postgresql+psycopg2://airflow:PASSWORD@127.0.0.1:5432/airflow"


class DatabaseError(Exception):
    """Airflow cannot use the database; the message says why and what to do, and shows no password."""


def check(settings: Settings) -> None:
    """Finds out before anything starts whether Airflow has what it needs for SLIPWAY_DATABASE_URL.

    Airflow opens two connections to its database, one with the URL's driver and one with an asynchronous driver.
    https://airflow.apache.org/docs/apache-airflow/stable/howto/set-up-database.html

    :raises DatabaseError: when the URL is none, of an unknown kind, or a driver is missing.
    """
    if not settings.database_url:
        return
    # Not at the top: most make targets have no use for it.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError):
        # Neither the URL nor the cause is shown: either may quote the password.
        raise DatabaseError(f"SLIPWAY_DATABASE_URL is no database URL. One looks like this: {EXAMPLE} .") from None
    backend = url.get_backend_name()
    if backend == "sqlite":
        return
    if backend != "postgresql":
        raise DatabaseError(
            f"SLIPWAY_DATABASE_URL names a {backend!r} database; Slipway runs on postgresql and sqlite."
        )
    # Where the URL names none it is SQLAlchemy that chooses: psycopg, since 2.1.
    missing = [name for name in (url.get_driver_name(), "asyncpg") if find_spec(name) is None]
    if missing:
        raise DatabaseError(
            f"For SLIPWAY_DATABASE_URL, Airflow needs the Python package{'s' * (len(missing) > 1)} "
            f"{' and '.join(missing)}, not installed here. 'make setup' installs asyncpg and psycopg2-binary, as "
            "'pip install asyncpg psycopg2-binary' does elsewhere; the URL then begins with postgresql+psycopg2://."
        )
