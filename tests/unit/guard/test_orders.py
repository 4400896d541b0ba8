"""Who may start a roll-back or a teardown, and what is written down; on Airflow's own tables."""

import json
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow import models
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from fastapi import HTTPException
from sqlalchemy import create_engine, insert, select, update
from sqlalchemy.orm import Session

from slipway.guard import approvals, orders
from slipway.guard.caller import TOKEN_KEY, Caller, TaskCaller, current_caller
from slipway.guard.flush import guard_flushes, unguard_flushes
from slipway.model.approval_rules import ONLY_STAGE, ApprovalStage, Rules
from slipway.signed.orders import Act, Order
from slipway.signed.proofs import verifier

RULES = {"approve": Rules((ApprovalStage(ONLY_STAGE, ("alice", "carol")),))}
BACK = {"roll_back_to": "previous"}
TEARDOWN = {"model": "iris-model", "confirm": "iris-model"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    models.import_all_models()
    made = create_engine(f"sqlite:///{tmp_path_factory.mktemp('guard') / 'airflow.db'}")
    Base.metadata.create_all(made)
    return made


@pytest.fixture
def start(engine, monkeypatch):
    """Start a run as a request of this person would; return the orders on record."""
    rules = {"iris-model": RULES, "unreadable": {"approve": None}}
    for module in (approvals, orders):
        monkeypatch.setattr(module, "rules_by_task", lambda dag_id, session: rules.get(dag_id, {}))
    types = {"teardown": {"TeardownOperator", "NothingLeftOperator"}}
    monkeypatch.setattr(orders, "task_types", lambda dag_id, session: types.get(dag_id, set()))
    guard_flushes()

    def started(who: str | None, conf: dict | None, dag_id: str = "iris-model", calling: bool = True) -> dict:
        with Session(engine) as session:
            for table in (TaskStateStoreModel, TaskInstance, DagRun):
                session.execute(table.__table__.delete())
            session.commit()
        token = current_caller.set(Caller(who) if calling else None)
        try:
            with Session(engine) as session:
                run = DagRun(dag_id=dag_id, run_id="manual__1", run_type="manual", conf=conf)
                run.run_after = datetime(2026, 6, 1, tzinfo=UTC)
                session.add(run)
                session.commit()
        finally:
            current_caller.reset(token)
        with Session(engine) as session:
            rows = session.scalars(select(TaskStateStoreModel)).all()
            return {row.task_id: (row.run_id, row.key, json.loads(row.value)) for row in rows}

    yield started
    unguard_flushes()


def test_an_approvers_order_is_written_down_with_the_run_for_both_tasks(start):
    written = start("alice", BACK)
    assert written.keys() == {"roll_back", "deploy_prd"}
    for run_id, key, order in written.values():
        assert (run_id, key) == ("manual__1", "ordered")
        assert (order["act"], order["by"], order["target"]) == (Act.ROLL_BACK, "alice", "previous")
        assert Order.from_json(order).is_proven(verifier(), "iris-model", run_id)


@pytest.mark.parametrize(
    ("more", "target"),
    [
        ({}, "iris-model"),
        ({"remove_record": False}, "iris-model"),
        ({"remove_record": True}, "iris-model and its record in the Model Registry"),
    ],
)
def test_an_approvers_teardown_is_written_down_for_the_task_that_removes(start, more, target):
    ((task_id, (run_id, _, order)),) = start("alice", TEARDOWN | more, "teardown").items()
    assert (task_id, order["act"], order["target"]) == ("remove", Act.TEARDOWN, target)
    assert Order.from_json(order).is_proven(verifier(), "teardown", run_id)


@pytest.mark.parametrize("more", [{}, {"roll_back_to": "previous"}, {"version_id": "v1"}, {"remove_record": True}])
@pytest.mark.parametrize(("who", "model"), [("bob", "iris-model"), (None, "iris-model"), ("alice", "no-such-model")])
def test_nobody_else_tears_a_model_down(start, engine, who, model, more):
    with pytest.raises(HTTPException) as refused:
        start(who, {"model": model, "confirm": model, **more}, "teardown")
    assert refused.value.status_code == 403
    assert "may not tear a model down" in refused.value.detail
    with Session(engine) as session:
        assert session.scalars(select(DagRun)).all() == []


@contextmanager
def paused(engine, dag_id):
    """Pauses a DAG meanwhile."""
    with Session(engine) as session:
        session.merge(DagBundleModel(name="dags"))
        session.flush()
        session.add(DagModel(dag_id=dag_id, bundle_name="dags", is_paused=True))
        session.commit()
    yield
    with engine.begin() as connection:
        connection.execute(update(DagModel.__table__).values(is_paused=False))


def clear(session):
    session.scalar(select(TaskInstance)).state = None


def delete_the_task(session):
    session.delete(session.scalar(select(TaskInstance)))


def start_the_run(session):
    session.scalar(select(DagRun)).state = "running"


def delete_the_run(session):
    session.delete(session.scalar(select(DagRun)))


@pytest.mark.parametrize("change", [clear, delete_the_task, start_the_run, delete_the_run])
@pytest.mark.parametrize(("dag_id", "conf"), [("iris-model", BACK), ("teardown", TEARDOWN)])
def test_nobody_else_sets_an_ordered_run_going_again(start, engine, dag_id, conf, change):
    start("alice", conf, dag_id)
    with engine.begin() as connection:
        task = {"dag_id": dag_id, "run_id": "manual__1", "task_id": "remove", "map_index": -1, "operator": "Any"}
        task |= {"id": uuid4(), "pool": "default_pool", "pool_slots": 1, "state": "failed"}
        connection.execute(insert(TaskInstance.__table__).values(**task))
    for who, may in (("bob", False), ("carol", True)):
        token = current_caller.set(Caller(who))
        try:
            with Session(engine) as session:
                change(session)
                with nullcontext() if may else pytest.raises(HTTPException, match="only its approvers may"):
                    session.commit()
        finally:
            current_caller.reset(token)


def test_anybody_who_may_edit_the_run_ends_it(start, engine):
    start("alice", TEARDOWN, "teardown")
    token = current_caller.set(Caller("bob"))
    try:
        with Session(engine) as session:
            session.scalar(select(DagRun)).state = "failed"
            session.commit()
    finally:
        current_caller.reset(token)


@pytest.mark.parametrize(("of_the_run", "may"), [(False, False), (True, True)])
def test_a_task_of_another_run_sets_no_ordered_run_going_again(start, engine, of_the_run, may):
    """It may clear runs by Airflow's API for tasks; the run's own tasks skip one another there."""
    start("alice", TEARDOWN, "teardown")
    mine = uuid4()
    with engine.begin() as connection:
        rows = [("teardown", "remove", uuid4()), ("teardown" if of_the_run else "evil", "other", mine)]
        if not of_the_run:
            run = {"dag_id": "evil", "run_id": "manual__1", "run_type": "manual", "run_after": datetime.now(UTC)}
            connection.execute(insert(DagRun.__table__).values(**run, state="running"))
        for dag_id, task_id, ti_id in rows:
            task = {"dag_id": dag_id, "run_id": "manual__1", "task_id": task_id, "map_index": -1, "operator": "Any"}
            task |= {"id": ti_id, "pool": "default_pool", "pool_slots": 1, "state": "failed"}
            connection.execute(insert(TaskInstance.__table__).values(**task))
    token = current_caller.set(TaskCaller({TOKEN_KEY: SimpleNamespace(id=mine)}))
    try:
        with Session(engine) as session:
            session.scalar(select(TaskInstance).where(TaskInstance.task_id == "remove")).state = None
            with nullcontext() if may else pytest.raises(HTTPException, match="only its approvers may"):
                session.commit()
    finally:
        current_caller.reset(token)


@pytest.mark.parametrize(("dag_id", "conf"), [("iris-model", BACK), ("teardown", TEARDOWN)])
def test_what_would_wait_in_a_paused_dag_is_refused_with_the_way_out(start, engine, dag_id, conf):
    with paused(engine, dag_id):
        with pytest.raises(HTTPException, match=r"is paused.*Unpause the DAG, then trigger it again") as refused:
            start("alice", conf, dag_id)
        assert refused.value.status_code == 409
        with pytest.raises(HTTPException, match="only its approvers may"):
            start("bob", conf, dag_id)
        assert start("alice", {"version_id": "v1"}, dag_id) == {}
    assert start("alice", conf, dag_id)


def test_a_release_is_everybodys_to_start_and_orders_nothing(start):
    assert start("bob", {"version_id": "v1"}) == {}
    assert start("bob", None) == {}


def test_other_dags_are_left_alone(start):
    assert start("bob", BACK, "somebody-elses") == {}


def test_what_starts_past_the_api_has_no_author_and_orders_nothing(start):
    """A command line, a scheduler, a task that triggers another DAG."""
    assert start(None, BACK, calling=False) == {}
