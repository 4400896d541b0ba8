"""When the tasks of a run worked and when they waited, by Airflow's event log, which has each change of their state.

https://airflow.apache.org/docs/apache-airflow/stable/security/audit_logs.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from airflow.models.log import Log
from airflow.utils.state import TaskInstanceState
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from slipway.board.stages import TaskFacts


class PartKind(StrEnum):
    """What a task did meanwhile: a process worked, or none did, because the task waited for something."""

    WORK = "work"
    WAIT = "wait"


class Part(BaseModel):
    """A part of a task's time; ``ended`` is null while it goes on."""

    kind: PartKind
    started: datetime
    ended: datetime | None


_BEGINS = {
    TaskInstanceState.RUNNING.value: PartKind.WORK,
    TaskInstanceState.DEFERRED.value: PartKind.WAIT,
    TaskInstanceState.AWAITING_INPUT.value: PartKind.WAIT,
    TaskInstanceState.UP_FOR_RESCHEDULE.value: PartKind.WAIT,
    TaskInstanceState.UP_FOR_RETRY.value: PartKind.WAIT,
}
_ENDS = (TaskInstanceState.SUCCESS.value, TaskInstanceState.FAILED.value, TaskInstanceState.SKIPPED.value)


def parts(dag_id: str, run_id: str, tasks: Sequence[TaskFacts], session: Session) -> dict[str, list[Part]]:
    """Read the parts of each task's time, those of earlier tries included.

    :param dag_id: the model
    :param run_id: the run
    :param tasks: the run's tasks
    :param session: Airflow's database
    :returns: by task; a task without events is left out
    """
    # The index of the task instances' events begins with these three columns.
    rows = session.execute(
        select(Log.task_id, Log.event, Log.dttm)
        .where(Log.dag_id == dag_id, Log.task_id.in_([one.task_id for one in tasks]), Log.run_id == run_id)
        .where(Log.event.in_([*_BEGINS, *_ENDS]))
        .order_by(Log.id)
    )
    events: dict[str, list[tuple[str, datetime]]] = defaultdict(list)
    for task_id, event, at in rows:
        if task_id and at:
            events[task_id].append((event, at))
    return {one.task_id: list(_parts(events[one.task_id], one)) for one in tasks if one.task_id in events}


def _parts(events: Sequence[tuple[str, datetime]], task: TaskFacts) -> Iterator[Part]:
    for (event, at), following in zip(events, [*(moment for _, moment in events[1:]), None], strict=True):
        if kind := _BEGINS.get(event):
            # A task that was marked, or whose process was killed, has no event for its end.
            yield Part(kind=kind, started=at, ended=following or (task.ended and max(task.ended, at)))
