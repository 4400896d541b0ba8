"""Reads which release has reached which stage, and what production and development serve, for a page of models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.state import TaskInstanceState
from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, union_all
from sqlalchemy.orm import Session

from slipway.board.stages import TASKS, StageName, TaskFacts

# The deployment of each environment.
DEPLOYMENTS = {"development": "deploy_dev", "production": "deploy_prd"}
# How many runs of each model are looked at first, and then of those that lack something. PostgreSQL reads its whole
# table of tasks if it is asked for those of a thousand runs.
WINDOWS = (20, 200)
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


@dataclass
class Progress:
    """How far the releases of one model have got.

    :param reached: by stage; a stage that no release has reached is left out
    :param deployed: by environment
    """

    reached: dict[StageName, Reached] = field(default_factory=dict)
    deployed: dict[str, Deployed] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sought:
    """What a run must have: one of some tasks that was reached, or that has succeeded."""

    tasks: tuple[str, ...]
    succeeded: bool = False

    @property
    def condition(self) -> Any:
        state = TaskInstance.state
        if self.succeeded:
            return and_(TaskInstance.task_id.in_(self.tasks), state == TaskInstanceState.SUCCESS)
        return and_(TaskInstance.task_id.in_(self.tasks), state.is_not(None), state.not_in(_NOT_REACHED))


_STAGES = {stage: _Sought(tasks) for stage, tasks in TASKS.items()}
_DEPLOYED = {environment: _Sought((task,), succeeded=True) for environment, task in DEPLOYMENTS.items()}


def progress(models: Mapping[str, int | None], session: Session) -> dict[str, Progress]:
    """Read the newest release of each stage, and the newest deployments.

    :param models: the models of a page, and the newest run of each where that is known
    :param session: Airflow's database
    :returns: by model; every model that is asked for is there
    """
    return _read(models, _STAGES, session)


def deployed(dag_id: str, session: Session) -> dict[str, Deployed]:
    """Read the newest successful deployments of one model, by environment."""
    return _read({dag_id: None}, {}, session)[dag_id].deployed


def _read(
    models: Mapping[str, int | None], stages: Mapping[StageName, _Sought], session: Session
) -> dict[str, Progress]:
    """Read the newest release of each of some stages, and the newest deployments."""
    sought = [*stages.values(), *_DEPLOYED.values()]
    newest = _newest(models, sought, session)
    every = {task for one in sought for task in one.tasks}
    statement = _task_columns().where(DagRun.id.in_(set(newest.values())), TaskInstance.task_id.in_(every))
    found = {dag_id: Progress() for dag_id in models}
    for row in session.execute(statement):
        mine = found[row.dag_id]
        for stage, one in stages.items():
            if row.task_id in one.tasks and newest.get((row.dag_id, one)) == row.run:
                mine.reached.setdefault(stage, Reached(row.run, row.run_id)).tasks.append(task_facts(row))
        for environment, one in _DEPLOYED.items():
            if row.task_id in one.tasks and newest.get((row.dag_id, one)) == row.run:
                mine.deployed[environment] = Deployed(row.run, row.run_id, row.end_date)
    return found


def newest_runs(dag_id: str, *columns: Any, newest: int | None = None) -> Select[Any]:
    """Return a query of a DAG's runs, the newest first, which begins at the newest one.

    PostgreSQL has no index of a DAG's runs by age. It may search all runs from the newest on, and pass all those that
    other DAGs have had since. Without GROUP BY it would do that for the newest one too.

    :param columns: what is read of each
    :param newest: the newest run where that is known
    """
    found = select(func.max(DagRun.id)).where(DagRun.dag_id == dag_id).group_by(DagRun.dag_id).scalar_subquery()
    begins = found if newest is None else newest
    return select(*columns).where(DagRun.dag_id == dag_id, DagRun.id <= begins).order_by(DagRun.id.desc())


def tasks_of(dag_id: str, run_id: str, session: Session) -> list[TaskFacts]:
    """Read the tasks of one run, in the order in which they started."""
    statement = _task_columns().where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    tasks = [task_facts(row) for row in session.execute(statement)]
    return sorted(tasks, key=lambda one: (one.started is None, one.started.timestamp() if one.started else 0))


def _newest(
    models: Mapping[str, int | None], sought: Collection[_Sought], session: Session
) -> dict[tuple[str, _Sought], int]:
    """Find the newest run of each model that has what is sought.

    The newest runs have nearly everything, so the others are searched only for what these have not. Otherwise each page
    would read the tasks of all runs that there ever were.
    """
    found: dict[tuple[str, _Sought], int] = {}
    missing = {(dag_id, one) for dag_id in models for one in sought}
    for window in WINDOWS:
        runs = _runs({dag_id: models[dag_id] for dag_id, _ in missing}, window, session)
        where = DagRun.id.in_([run for of_model in runs.values() for run in of_model])
        found |= _newest_of(where, {one for _, one in missing}, session)
        # A model with fewer runs has no others.
        missing = {(dag_id, one) for dag_id, one in missing - set(found) if len(runs.get(dag_id, ())) == window}
        if not missing:
            return found
    left = {one for _, one in missing}
    # The index of models and tasks has the states too. Among few runs they would lead SQLite to that of the states.
    of_models = TaskInstance.dag_id.in_({dag_id for dag_id, _ in missing})
    return found | _newest_of(and_(of_models, or_(*(one.condition for one in left))), left, session)


def _newest_of(
    where: ColumnElement[bool], sought: Collection[_Sought], session: Session
) -> dict[tuple[str, _Sought], int]:
    """Find the newest of some runs, of each model, that has what is sought."""
    wanted = sorted(sought, key=lambda one: (one.tasks, one.succeeded))
    columns = (func.max(case((one.condition, DagRun.id))) for one in wanted)
    every = {task for one in wanted for task in one.tasks}
    statement = (
        select(TaskInstance.dag_id, *columns)
        .join(DagRun, _of_run())
        .where(where, TaskInstance.task_id.in_(every))
        .group_by(TaskInstance.dag_id)
    )
    found: dict[tuple[str, _Sought], int] = {}
    for dag_id, *runs in session.execute(statement):
        found |= {(dag_id, one): run for one, run in zip(wanted, runs, strict=True) if run is not None}
    return found


def _runs(models: Mapping[str, int | None], limit: int, session: Session) -> dict[str, list[int]]:
    """Read the newest runs of each model; row_number() would sort all runs."""
    selects = []
    for dag_id, known in models.items():
        runs = newest_runs(dag_id, DagRun.dag_id, DagRun.id, newest=known).limit(limit)
        # SQLite accepts a limit in a part of a union as a query of its own only.
        selects.append(select(runs.subquery()))
    found: dict[str, list[int]] = defaultdict(list)
    for dag_id, run in session.execute(union_all(*selects)) if selects else ():
        found[dag_id].append(run)
    return found


def task_facts(row: Any) -> TaskFacts:
    """Make the facts of a row of a task instance."""
    return TaskFacts(row.task_id, row.state, row.start_date, row.end_date, row.try_number, row.classpath)


def _task_columns() -> Select[Any]:
    ti = TaskInstance
    columns: tuple[Any, ...] = (ti.dag_id, ti.task_id, ti.run_id, ti.state, ti.start_date, ti.end_date, ti.try_number)
    return (
        select(*columns, Trigger.classpath, DagRun.id.label("run"))
        .join(DagRun, _of_run())
        .outerjoin(Trigger, Trigger.id == ti.trigger_id)
    )


def _of_run() -> Any:
    return and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id)
