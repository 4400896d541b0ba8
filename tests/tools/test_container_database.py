"""What the containers ask of PostgreSQL: the heartbeats of one container, and the database for the ends of tasks."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from airflow.jobs.job import Job
from sqlalchemy import create_engine, insert

from tests.tools.test_postgres import running
from tools import postgres
from tools.compose_init import make_result_database
from tools.container_signs import heartbeat
from tools.settings import Settings

START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The URL of a server's database for Airflow."""
    settings = Settings(tmp_path_factory.mktemp("database"))
    with running(settings):
        yield postgres.url(settings)


@pytest.fixture(scope="module")
def jobs(database):
    """Airflow's own table of jobs: one of this container, one of its former process, and those of others."""
    engine = create_engine(database)
    Job.metadata.create_all(engine, tables=[Job.__table__])
    here = {"job_type": "TriggererJob", "hostname": socket.gethostname(), "state": "running"}
    rows = [
        here | {"start_date": START, "latest_heartbeat": START + timedelta(seconds=7)},
        here | {"start_date": START - timedelta(hours=1), "latest_heartbeat": START + timedelta(seconds=8)},
        here | {"start_date": START, "latest_heartbeat": START + timedelta(seconds=9), "hostname": "other"},
        here | {"start_date": START, "latest_heartbeat": START + timedelta(seconds=9), "job_type": "SchedulerJob"},
    ]
    with engine.begin() as connection:
        connection.execute(insert(Job.__table__), rows)
    engine.dispose()
    return database


def test_the_heartbeat_is_that_of_this_container_and_process(jobs, monkeypatch):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", jobs)
    assert heartbeat("triggerer", START) == START + timedelta(seconds=7)


def test_a_component_without_a_job_has_no_heartbeat(jobs, monkeypatch):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", jobs)
    assert heartbeat("dag-processor", START) is None


def test_the_workers_role_has_its_own_database_and_cannot_enter_airflows(database):
    results = database.replace(f"//{postgres.USER}@/postgres", "//celery:first@/celery")
    make_result_database(database, f"db+{results}")
    # At each start, with a password that may be another one by then.
    make_result_database(database, f"db+{results.replace('first', 'second')}")
    own = results.replace("+psycopg2", "")
    with psycopg2.connect(own) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE celery_taskmeta (id int)")
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        psycopg2.connect(own.replace("/celery?", "/postgres?"))
