"""A run whose task is cleared after its end ends twice, and Airflow asks for the DAG's callback each time."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from airflow.callbacks.callback_requests import DagCallbackRequest
from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import select
from sqlalchemy.orm import Session

from slipway.notices import news
from tests.unit.guard.real_server import IRIS, RUN
from tests.unit.request_samples import iris_model


@pytest.fixture
def session(real_server) -> Iterator[Session]:
    """A session whose changes are undone."""
    with create_session(scoped=False) as opened:
        yield opened
        opened.rollback()


@pytest.fixture
def recorded(monkeypatch) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    monkeypatch.setattr(news, "enabled", lambda: True)
    monkeypatch.setattr(news, "flush", lambda: None)
    monkeypatch.setattr(news, "record", lambda metric, value, **labels: found.append(labels))
    return found


class Last:
    """The last task of a callback, which reads the results of its run."""

    def xcom_pull(self, task_ids, key="return_value"):
        return {"rows": 30} if task_ids == "test_prd" else None


def ends(session: Session, run: DagRun) -> DagCallbackRequest:
    """Let all of the run's tasks end well, and the scheduler look at it. Returns the callback that it asks for."""
    run.set_state(DagRunState.RUNNING)
    for one in session.scalars(select(TaskInstance).where(TaskInstance.dag_id == IRIS, TaskInstance.run_id == RUN)):
        one.state, one.end_date = TaskInstanceState.SUCCESS, datetime.now(UTC)
    session.flush()
    _, request = run.update_state(session=session, execute_callbacks=False)
    assert request is not None
    return request


def test_both_ends_are_measured(session, recorded):
    run = session.scalars(select(DagRun).where(DagRun.dag_id == IRIS, DagRun.run_id == RUN)).one()
    dag = DBDagBag().get_dag_for_run(run, session=session)
    # As where metrics are on.
    run.dag, dag.has_on_success_callback = dag, True
    tell = news.on_success(iris_model())
    for _ in range(2):
        request = ends(session, run)
        context = request.context_from_server
        tell({"ti": Last(), "dag_run": context.dag_run})
        tested = select(TaskInstance).where(TaskInstance.dag_id == IRIS, TaskInstance.run_id == RUN)
        clear_task_instances(list(session.scalars(tested.where(TaskInstance.task_id == "test_prd"))), session)
        session.flush()
        assert run.state == DagRunState.QUEUED
    assert recorded == [{"model": IRIS, "outcome": "released"}] * 2
