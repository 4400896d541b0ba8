"""An instance of several machines, as far as one machine can be that: Celery workers, and two of what should be two.

Each scheduler, triggerer and worker has a home, a temporary folder and a working folder of its own, and logs go to
none that they share. What two of them must both know can only be in the database, in Redis or in AWS.
"""

from __future__ import annotations

import json
import signal
import sys

from tools import airflow_program, broker, database, postgres
from tools.component import Component
from tools.settings import Settings

# A worker takes both: a load waits for a slot of its own queue, and never in front of a release.
QUEUES = "default,load"
LOAD_QUEUE = "load"
# Tasks that one worker runs at once.
CONCURRENCY = 4
REDIS = "redis"
RESULTS = "celery"


def options(settings: Settings) -> dict[str, str]:
    """Return Airflow's options for tasks that Celery workers run: SECTION__OPTION → value."""
    return {
        # Airflow's own: docs/decisions.md, decision 104.
        "CORE__EXECUTOR": "CeleryExecutor",
        "CORE__PARALLELISM": "32",
        "CELERY__BROKER_URL": broker.url(settings),
        "CELERY__RESULT_BACKEND": f"db+{result_database(settings)}",
        "CELERY__WORKER_CONCURRENCY": str(CONCURRENCY),
        # While Redis is away a task that is sent waits for it. By default the fourth failure within a second fails
        # the task; so each try lasts a second, and sixty of them are made.
        "CELERY__TASK_PUBLISH_MAX_RETRIES": "60",
        "CELERY__EXTRA_CELERY_CONFIG": json.dumps(
            {
                "task_publish_retry_policy": {"max_retries": None},
                # Loaded once and not by each task.
                "imports": ["slipway.preload"],
            }
        ),
        # Airflow knows the long time for addresses that begin with redis:// only; Celery's own is an hour.
        "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": str(broker.VISIBILITY_SECONDS),
        "SLIPWAY__LOAD_QUEUE": LOAD_QUEUE,
    }


def result_database(settings: Settings) -> str:
    """Return the URL of the database for the ends of tasks.

    It is not Airflow's own where this instance can make another: workers know it, so a task could read it, and with
    Airflow's database write an approval. Not Redis either: the scheduler ends when it cannot read the ends.
    """
    if database.kind(settings) is database.Kind.EMBEDDED:
        return postgres.url(settings, RESULTS)
    return database.url(settings)


def make_result_database(settings: Settings) -> None:
    """Make the database for the ends of tasks, unless it is there, once PostgreSQL runs."""
    if database.kind(settings) is not database.Kind.EMBEDDED:
        return
    # Imported here: most make targets do not need it.
    from sqlalchemy import create_engine, text

    engine = create_engine(postgres.url(settings), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if not connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": RESULTS}):
            connection.execute(text(f"CREATE DATABASE {RESULTS}"))
    engine.dispose()


def redis_component(settings: Settings, environment: dict[str, str]) -> Component:
    """Build the component of the broker."""
    return Component(REDIS, [sys.executable, "-m", "tools.broker"], environment, settings.logs / f"{REDIS}.log")


def names(settings: Settings) -> tuple[str, ...]:
    """Return the names of the components that are there beside those of every instance."""
    workers = tuple(f"worker-{number}" for number in range(1, settings.celery_workers + 1))
    return (*(("scheduler-2", "triggerer-2") if len(workers) > 1 else ()), *workers)


def component(settings: Settings, name: str, environment: dict[str, str]) -> Component:
    """Build the component of a scheduler, triggerer or worker.

    :param name: one of `names`, or scheduler or triggerer
    :param environment: of Airflow's processes
    """
    kind = name.partition("-")[0]
    folder = settings.home / "hosts" / name
    for made in ("tmp", "work"):
        (folder / made).mkdir(parents=True, exist_ok=True)
    own = {
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "airflow" / "logs"),
    }
    verb = ("celery", "worker") if kind == "worker" else (kind,)
    command = airflow_program.command(*verb, "--skip-serve-logs")
    variables = environment | own
    if kind == "worker":
        command += ["--queues", QUEUES, "--celery-hostname", name]
        # Workers of Airflow 3 know no database:
        # https://airflow.apache.org/docs/apache-airflow/stable/security/security_model.html
        del variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    log = settings.logs / f"{name}.log"
    return Component(name, command, variables, log, stop_signal=signal.SIGTERM, folder=folder / "work")


def answering(settings: Settings) -> set[str]:
    """Ask the workers for a sign of life, and wait a second for it. Return the names of those that gave one."""
    # Imported here: most make targets do not need it.
    from celery import Celery
    from kombu.exceptions import KombuError

    with Celery(broker=broker.url(settings), set_as_current=False) as app:
        try:
            answers = app.control.ping(timeout=1.0)
        except (OSError, KombuError):
            return set()
    return {name.rpartition("@")[2] for answer in answers for name in answer}
