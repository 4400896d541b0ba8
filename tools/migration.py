"""Make the tables of Airflow's database, once for each database and version of Airflow."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

from tools import airflow_program, database, postgres
from tools.database import Kind
from tools.settings import ROOT, Settings


def is_done(settings: Settings, kind: Kind) -> bool:
    """Return whether the database has the tables of this version of Airflow for certain."""
    note = _note(settings, kind)
    if note is None or not note.exists() or note.read_text() != _text(kind):
        return False
    if kind is Kind.FILE:
        file = database.sqlite_file(settings)
        return file.exists() and file.stat().st_size > 0
    return True


def note_done(settings: Settings, kind: Kind) -> None:
    """Note that the database has the tables of this version of Airflow."""
    if note := _note(settings, kind):
        note.write_text(_text(kind))


def start(settings: Settings, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start `airflow db migrate`, which changes nothing where the tables exist."""
    with (settings.logs / "migrate.log").open("wb") as output:
        return subprocess.Popen(
            airflow_program.command("db", "migrate"),
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _note(settings: Settings, kind: Kind) -> Path | None:
    """Return the file that notes a migration; None for another server's database, which somebody may have emptied."""
    match kind:
        case Kind.EMBEDDED:
            # Inside the cluster, so that it is removed with it. PostgreSQL ignores files that it does not know.
            return postgres.cluster(settings) / "slipway_migrated"
        case Kind.FILE:
            return settings.airflow_home / "migrated"
        case Kind.GIVEN:
            return None


def _text(kind: Kind) -> str:
    return f"{version('apache-airflow-core')} {kind.name}"
