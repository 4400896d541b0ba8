"""The signs of life of this container's component: its heartbeats in Airflow's database, or a worker's answers.

Airflow's health page has only the newest heartbeat of each kind: a triggerer that does nothing hides behind its twin.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

# Component → its jobs in Airflow's table of them.
# https://airflow.apache.org/docs/apache-airflow/stable/database-erd-ref.html
JOB_TYPES = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob", "dag-processor": "DagProcessorJob"}
WORKER = "worker"
CONNECT_SECONDS = 5
PING_SECONDS = 5.0


class Signs:
    """Asks again and again for a new sign of life, as `tools.liveness.Probe` does.

    :param last: returns the last sign, anything that differs from the one before; None where there is none
    :param seen: called with each new sign
    """

    def __init__(self, last: Callable[[], Any], seen: Callable[[], None]) -> None:
        self._last = last
        self._seen = seen
        self._sign: Any = None

    def ask(self) -> bytes | None:
        """Return something for a new sign, and None for none.

        While the database or the broker is silent nothing is known, and nothing is held against the component. Before
        its first sign it is: it may be the component that cannot start.
        """
        try:
            sign = self._last()
        except Exception:
            # Whatever the client raises: what is judged here is the component, not what stands between.
            return b"" if self._sign is not None else None
        if sign is None or sign == self._sign:
            return None
        self._sign = sign
        self._seen()
        return b"alive"


def heartbeat(component: str, since: datetime) -> datetime | None:
    """Return the last heartbeat of this container's component.

    :param component: one of JOB_TYPES
    :param since: of jobs that began earlier nothing is said: the container may have had a process before
    """
    import psycopg2

    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "", 1)
    question = "SELECT max(latest_heartbeat) FROM job WHERE job_type = %s AND hostname = %s AND start_date >= %s"
    connect = partial(psycopg2.connect, url, connect_timeout=CONNECT_SECONDS)
    with contextlib.closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute(question, (JOB_TYPES[component], socket.gethostname(), since))
        row = cursor.fetchone()
    return row[0] if row else None


class Worker:
    """This container's Celery worker, which is asked over the broker.

    https://docs.celeryq.dev/en/stable/userguide/workers.html#ping
    """

    def __init__(self) -> None:
        from celery import Celery

        self._app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
        # One try: a silent broker is no sign of the worker's.
        self._app.conf.broker_transport_options = {"max_retries": 1, "socket_timeout": PING_SECONDS * 2}

    def answer(self) -> datetime | None:
        """Return when the worker answered, now; None when it did not."""
        names = [f"celery@{socket.gethostname()}"]
        answers = self._app.control.ping(destination=names, timeout=PING_SECONDS)
        return datetime.now(UTC) if answers else None


def of(component: str, seen: Callable[[], None]) -> Signs:
    """Build the signs of a component.

    :param component: WORKER or one of JOB_TYPES
    :param seen: as in `Signs`
    """
    if component == WORKER:
        return Signs(Worker().answer, seen)
    since = datetime.now(UTC)
    return Signs(lambda: heartbeat(component, since), seen)
