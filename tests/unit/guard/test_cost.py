"""What the guard reads for a change, beside what the change itself reads: with few releases and models, and with many.

By statements, and by the steps of SQLite's virtual machine: a statement that reads all runs is one statement too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow import models
from airflow.api_fastapi.core_api.routes.public.task_instances import patch_task_instance
from airflow.models.base import Base
from airflow.models.connection import Connection
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from airflow.utils.state import DagRunState, TaskInstanceState
from fastapi import HTTPException
from sqlalchemy import Engine, StaticPool, create_engine, event, insert, select
from sqlalchemy.orm import Session

from slipway.approval.answers import DECIDED
from slipway.guard.caller import TOKEN_KEY, Caller, TaskCaller, current_caller
from slipway.guard.flush import guard_flushes, unguard_flushes
from slipway.guard.matched_route import Route
from slipway.guard.writes import guard_statements, unguard_statements
from slipway.source.uploads import INTAKE_TASK_ID
from tests.unit.board.world import RELEASED, World, results, upto
from tests.unit.sqlite_steps import counted

MODEL, RUN = "iris-model", "waits"
FEW, MANY = 2, 60
DECISION = {"decision": "Approved", "decided_by": "alice", "decided_at": "2026-11-29T14:03:05+00:00", "how": "Airflow"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    models.import_all_models()
    made = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    Base.metadata.create_all(made)
    guard_flushes()
    guard_statements()
    yield made
    unguard_statements()
    unguard_flushes()
    made.dispose()


class Story:
    """A release that asks its approvers, beside others of this model and of other models."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.size = engine, 0
        with World(engine) as world:
            world.model(MODEL)
            world.model("intake", tags=("slipway",), serialized=False)
            world.run("intake", RUN, "running", {INTAKE_TASK_ID: "running"})
            tasks = world.run(MODEL, RUN, "running", upto("approve", "deferred"), results(MODEL, 1))
            world.ask(tasks["approve"], 1)

    def grow(self, size: int) -> None:
        with World(self.engine) as world:
            for number in range(self.size, size):
                world.model(f"other-{number}", serialized=False)
                for model in (MODEL, f"other-{number}"):
                    tasks = world.run(model, f"run-{number}", "success", RELEASED, results(model, number))
                    world.ask(tasks["approve"], number)
                    world.decided("approve", **DECISION)
        self.size = size

    def change(self, who: Caller | TaskCaller | None, change: Callable[[Session], None]) -> tuple[int, int]:
        """Change something in a request's session, and roll it back; return the statements, and SQLite's steps."""
        statements: list[Any] = []

        def note(*executed: Any) -> None:
            statements.append(executed[2])

        token = current_caller.set(who)
        event.listen(self.engine, "before_cursor_execute", note)
        try:
            with Session(self.engine) as session, counted(self.engine) as steps, suppress(HTTPException):
                change(session)
                session.flush()
        finally:
            event.remove(self.engine, "before_cursor_execute", note)
            current_caller.reset(token)
        return len(statements), steps[0]

    def guards_share(self, who: Caller | TaskCaller, change: Callable[[Session], None]) -> tuple[int, int]:
        guarded, unguarded = self.change(who, change), self.change(None, change)
        return guarded[0] - unguarded[0], guarded[1] - unguarded[1]


def task(session: Session, task_id: str, dag_id: str = MODEL) -> TaskInstance:
    of_run = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == RUN)
    return session.scalars(select(TaskInstance).where(*of_run, TaskInstance.task_id == task_id)).one()


def run(session: Session) -> DagRun:
    return session.scalars(select(DagRun).where(DagRun.dag_id == MODEL, DagRun.run_id == RUN)).one()


def to_state(task_id: str, state: TaskInstanceState | None) -> Callable[[Session], None]:
    def change(session: Session) -> None:
        task(session, task_id).state = state

    return change


def run_to_state(state: DagRunState) -> Callable[[Session], None]:
    return lambda session: run(session).set_state(state)


def answer(session: Session) -> None:
    detail = session.get(HITLDetail, task(session, "approve").id)
    detail.responded_at, detail.chosen_options, detail.params_input = datetime.now(UTC), ["Approve"], {}


def start(run_id: str, **conf: Any) -> Callable[[Session], None]:
    def change(session: Session) -> None:
        started = DagRun(dag_id=MODEL, run_id=run_id, run_type="manual", conf=conf)
        started.run_after = datetime(2026, 6, 1, tzinfo=UTC)
        session.add(started)

    return change


def leave(key: str) -> Callable[[Session], None]:
    of_task = {"dag_id": MODEL, "run_id": RUN, "task_id": "approve"}
    return lambda session: XComModel.set(key, {}, **of_task, serialize=False, session=session)


def remember(key: str) -> Callable[[Session], None]:
    def change(session: Session) -> None:
        row = {"dag_run_id": run(session).id, "dag_id": MODEL, "run_id": RUN, "task_id": "approve", "map_index": -1}
        value = json.dumps(DECISION)
        session.execute(insert(TaskStateStoreModel).values(**row, key=key, value=value, updated_at=datetime.now(UTC)))

    return change


ALICE, BOB = Caller("alice"), Caller("bob")
MARKS = Caller(
    "alice",
    Route(
        {
            "endpoint": patch_task_instance,
            "path_params": {"dag_id": MODEL, "dag_run_id": RUN, "task_id": "approve"},
        }
    ),
)
PEOPLES: dict[str, tuple[Caller, Callable[[Session], None]]] = {
    "marks an approval": (MARKS, to_state("approve", TaskInstanceState.SUCCESS)),
    "may not mark it": (BOB, to_state("approve", TaskInstanceState.SUCCESS)),
    "answers": (ALICE, answer),
    "clears an approval": (ALICE, to_state("approve", None)),
    "clears another task": (BOB, to_state("train", None)),
    "marks a run failed": (ALICE, run_to_state(DagRunState.FAILED)),
    "marks a run success": (BOB, run_to_state(DagRunState.SUCCESS)),
    "starts a release": (BOB, start("again", version_id="v1", new_attempt=True)),
    "orders a roll-back": (ALICE, start("back", roll_back_to="previous")),
    "may not order it": (BOB, start("back", roll_back_to="previous")),
    "writes what a task left": (BOB, leave("return_value")),
    "adds a connection": (BOB, lambda session: session.add(Connection(conn_id="bobs", conn_type="http"))),
    "adds a variable": (BOB, lambda session: session.add(Variable(key="bobs", val="1"))),
}
TASKS: dict[str, tuple[tuple[str, str] | None, Callable[[Session], None]]] = {
    "leaves a result": ((MODEL, "approve"), leave("return_value")),
    "leaves a link after its try has ended": (None, leave("_link_x")),
    "remembers": ((MODEL, "approve"), remember("k")),
    "remembers a decision": ((MODEL, "approve"), remember(DECIDED)),
    "may not write for another task": ((MODEL, "train"), remember("k")),
    "releases an upload": (("intake", INTAKE_TASK_ID), start("s3__1")),
}


def test_the_guard_reads_the_same_for_a_change_however_many_releases_and_models_there_are(engine, record_property):
    story, found = Story(engine), {}
    for size in (FEW, MANY):
        story.grow(size)
        shares = {f"a person {name}": story.guards_share(*one) for name, one in PEOPLES.items()}
        for name, (of_task, change) in TASKS.items():
            with Session(engine) as session:
                ti_id = task(session, of_task[1], of_task[0]).id if of_task else uuid4()
            shares[f"a task {name}"] = story.guards_share(TaskCaller({TOKEN_KEY: SimpleNamespace(id=ti_id)}), change)
        found[size] = shares
    assert found[FEW] == found[MANY]
    record_property("the guard's statements for a change", str({name: one[0] for name, one in found[MANY].items()}))
    assert max(statements for statements, _ in found[MANY].values()) <= 10
