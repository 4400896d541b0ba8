"""A release that a person marks failed is told: the request asks for the callback that tells it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from airflow.callbacks.callback_requests import DagCallbackRequest
from airflow.models.dagrun import DagRun
from airflow.models.db_callback_request import DbCallbackRequest
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from sqlalchemy import select
from sqlalchemy.orm import Session

from slipway.guard import belongings
from slipway.guard.caller import Caller, current_caller
from tests.unit.guard.real_server import FOREIGN, IRIS, RUN


@pytest.fixture
def session(real_server) -> Iterator[Session]:
    """A session of a request of alice's, which is undone."""
    token = current_caller.set(Caller("alice"))
    try:
        with create_session(scoped=False) as opened:
            yield opened
            opened.rollback()
    finally:
        current_caller.reset(token)


def marks(session: Session, dag_id: str, state: DagRunState) -> list[DagCallbackRequest]:
    """Mark a run, and return the callbacks that are asked for."""
    # Tests of other files leave runs of their own on the server.
    of_dag = select(DagRun).where(DagRun.dag_id == dag_id)
    session.scalars(of_dag.where(DagRun.run_id == RUN) if dag_id == IRIS else of_dag).one().set_state(state)
    session.flush()
    return [one.get_callback_request() for one in session.scalars(select(DbCallbackRequest))]


def test_who_marked_it_and_the_task_that_ran(session):
    of_run = select(TaskInstance).where(TaskInstance.dag_id == IRIS, TaskInstance.run_id == RUN)
    session.scalars(of_run.where(TaskInstance.task_id == "train")).one().start_date = datetime.now(UTC)
    session.flush()
    (request,) = marks(session, IRIS, DagRunState.FAILED)
    assert (request.dag_id, request.is_failure_callback, request.msg) == (IRIS, True, "marked failed by alice")
    assert request.context_from_server.last_ti.task_id == "train"
    # A second change of the same run asks for nothing.
    assert len(marks(session, IRIS, DagRunState.FAILED)) == 1


def test_a_run_that_no_task_has_begun(session):
    for one in session.scalars(select(TaskInstance).where(TaskInstance.dag_id == IRIS)):
        one.start_date = None
    session.flush()
    (request,) = marks(session, IRIS, DagRunState.FAILED)
    assert request.context_from_server.last_ti is None


def test_only_releases_that_are_marked_failed(session):
    assert marks(session, "live", DagRunState.FAILED) == []
    assert marks(session, IRIS, DagRunState.QUEUED) == []


def test_builds_of_images_are_told_as_releases_are(session):
    asked = {IRIS, "image_build-iris-forest", "live", FOREIGN}
    assert belongings.dags_with_news(asked, session.connection()) == {IRIS, "image_build-iris-forest"}


def test_a_mark_by_nobody_is_the_schedulers(session):
    token = current_caller.set(None)
    assert marks(session, IRIS, DagRunState.FAILED) == []
    current_caller.reset(token)


def test_a_message_that_cannot_be_asked_for_stops_nobody(session, monkeypatch, caplog):
    def fails(*_args: object, **_more: object) -> None:
        raise RuntimeError("no such column")

    monkeypatch.setattr(DagRun, "produce_dag_callback", fails)
    assert marks(session, IRIS, DagRunState.FAILED) == []
    assert "Nobody is told that alice marked the run" in caplog.text
