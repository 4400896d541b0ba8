"""Resumes a task that waits deferred for an answer, in the transaction that stores the answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import handle_event_submit
from airflow.triggers.base import TriggerEvent
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select
from sqlalchemy.orm import Session


def lock_deferred(ti: TaskInstance, session: Session) -> bool:
    """Lock a task's row before its answer is stored, as Airflow's route does, and tell whether the task is deferred.

    The other order of the two writes could block both requests.

    :param ti: the task instance
    :param session: the session that is flushed
    """
    row = select(TaskInstance.state).where(TaskInstance.id == ti.id).with_for_update()
    return session.execute(row).scalar() == TaskInstanceState.DEFERRED


def resume(ti: TaskInstance, detail: HITLDetail) -> None:
    """Have the task read its answer now, without its trigger, as Airflow's route of answers does.

    :param ti: the task instance, deferred and locked
    :param detail: its question, answered
    """
    # The change is written by the flush that has begun; Airflow's function would begin another one.
    flushed: Any = SimpleNamespace(flush=lambda: None)
    event = TriggerEvent(detail.as_resume_event_payload())
    handle_event_submit(event, task_instance=ti, session=cast("Session", flushed))
