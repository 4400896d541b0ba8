"""News of runs that a person has marked failed: Airflow calls a DAG's callbacks only for runs that fail by themselves.

So the request that marks the run also asks the DAG processor for the callback, in the same transaction, as the
scheduler does for a run that fails.
https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/callbacks.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from airflow.callbacks.database_callback_sink import DatabaseCallbackSink
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from slipway.guard import belongings
from slipway.guard.caller import Caller
from slipway.notices.news import marked_failed_by

log = logging.getLogger(__name__)


def tell_marked(caller: Caller, changes: Iterable[Any], session: Session) -> None:
    """Ask for the failure callback of each release and each build of an image that a person marks failed.

    :param caller: who does it
    :param changes: what is about to be written
    :param session: the session that is flushed
    """
    marked = [
        one
        for one in changes
        if isinstance(one, DagRun)
        and one not in session.deleted
        and one.state == DagRunState.FAILED
        and inspect(one).attrs["_state"].history.has_changes()
    ]
    told = belongings.dags_with_news({one.dag_id for one in marked}, session.connection()) if marked else set()
    for run in marked:
        if run.dag_id not in told:
            continue
        # News never keeps a person from marking a run.
        try:
            request = run.produce_dag_callback(
                dag=None,  # it is only used to call the callback at once
                success=False,
                relevant_ti=_newest_task(run, session),
                reason=marked_failed_by(caller.name),
            )
            if request:
                DatabaseCallbackSink().send(request, session=session)
        except Exception:
            log.exception("Nobody is told that %s marked the run %s of %s failed", caller, run.run_id, run.dag_id)


def _newest_task(run: DagRun, session: Session) -> TaskInstance | None:
    """Return the task that the mark has failed, or else the one that started last."""
    statement = select(TaskInstance).where(
        TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id, TaskInstance.start_date.is_not(None)
    )
    tasks = session.scalars(statement).all()
    return max(tasks, key=lambda one: (one.state == TaskInstanceState.FAILED, one.start_date), default=None)
