"""Reads which release has reached which stage, and what production and development serve, for a page of models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.state import TaskInstanceState
from sqlalchemy import Select, and_, case, func, select
from sqlalchemy.orm import Session

from slipway.board.stages import TASKS, StageName, TaskFacts

# The deployment of each environment.
DEPLOYMENTS = {"development": "deploy_dev", "production": "deploy_prd"}
# A task in one of these has not been reached, or was left out.
_NOT_REACHED = (TaskInstanceState.SKIPPED, TaskInstanceState.UPSTREAM_FAILED, TaskInstanceState.REMOVED)


@dataclass
class Reached:
    """The newest release in one stage."""

    run: int
    run_id: str
    tasks: list[TaskFacts] = field(default_factory=list)


@dataclass(frozen=True)
class Deployed:
    """The newest successful deployment to an environment."""

    run: int
    run_id: str
    since: datetime | None


def reached(dag_ids: Collection[str], session: Session) -> dict[str, dict[StageName, Reached]]:
    """Read the newest release of each stage.

    :param dag_ids: the models of a page
    :param session: Airflow's database
    :returns: by model and stage; a stage that no release has reached is left out
    """
    ti = TaskInstance
    stage = case(*((ti.task_id.in_(tasks), name.value) for name, tasks in TASKS.items())).label("stage")
    every = [task for tasks in TASKS.values() for task in tasks]
    newest = (
        select(ti.dag_id, stage, func.max(DagRun.id).label("run"))
        .join(DagRun, _of_run())
        .where(ti.dag_id.in_(dag_ids), ti.task_id.in_(every), ti.state.is_not(None), ti.state.not_in(_NOT_REACHED))
        .group_by(ti.dag_id, stage)
        .subquery()
    )
    statement = (
        _task_columns(stage)
        .join(newest, and_(newest.c.run == DagRun.id, newest.c.stage == stage))
        .where(ti.dag_id.in_(dag_ids), ti.task_id.in_(every))
    )
    found: dict[str, dict[StageName, Reached]] = defaultdict(dict)
    for row in session.execute(statement):
        of_stage = found[row.dag_id].setdefault(StageName(row.stage), Reached(row.run, row.run_id))
        of_stage.tasks.append(task_facts(row))
    return found


def tasks_of(dag_id: str, run_id: str, session: Session) -> list[TaskFacts]:
    """Read the tasks of one run, in the order in which they started."""
    statement = _task_columns().where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    tasks = [task_facts(row) for row in session.execute(statement)]
    return sorted(tasks, key=lambda one: (one.started is None, one.started.timestamp() if one.started else 0))


def deployed(dag_ids: Collection[str], session: Session) -> dict[str, dict[str, Deployed]]:
    """Read the newest successful deployments.

    :param dag_ids: the models of a page
    :param session: Airflow's database
    :returns: by model and environment
    """
    ti = TaskInstance
    newest = (
        select(ti.dag_id, ti.task_id, func.max(DagRun.id).label("run"))
        .join(DagRun, _of_run())
        .where(ti.dag_id.in_(dag_ids), ti.task_id.in_(DEPLOYMENTS.values()), ti.state == TaskInstanceState.SUCCESS)
        .group_by(ti.dag_id, ti.task_id)
        .subquery()
    )
    statement = (
        select(ti.dag_id, ti.task_id, ti.run_id, ti.end_date, DagRun.id.label("run"))
        .join(DagRun, _of_run())
        .join(newest, and_(newest.c.run == DagRun.id, newest.c.task_id == ti.task_id))
        .where(ti.dag_id.in_(dag_ids))
    )
    names = {task: environment for environment, task in DEPLOYMENTS.items()}
    found: dict[str, dict[str, Deployed]] = defaultdict(dict)
    for row in session.execute(statement):
        found[row.dag_id][names[row.task_id]] = Deployed(row.run, row.run_id, row.end_date)
    return found


def task_facts(row: Any) -> TaskFacts:
    """Make the facts of a row of a task instance."""
    return TaskFacts(row.task_id, row.state, row.start_date, row.end_date, row.try_number, row.classpath)


def _task_columns(*more: Any) -> Select[Any]:
    ti = TaskInstance
    columns = (ti.dag_id, ti.task_id, ti.run_id, ti.state, ti.start_date, ti.end_date, ti.try_number)
    return (
        select(*columns, Trigger.classpath, DagRun.id.label("run"), *more)
        .join(DagRun, _of_run())
        .outerjoin(Trigger, Trigger.id == ti.trigger_id)
    )


def _of_run() -> Any:
    return and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id)
