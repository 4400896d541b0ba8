"""How many releases may be open while production is rolled back, by the scheduler's own query."""

from datetime import UTC, datetime

import pytest
from airflow import models
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from slipway.release_dag import MAX_OPEN_RUNS, build_release_dag
from slipway.states import ExecutionMode
from tests.unit.request_samples import iris_model

THEN = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def session(tmp_path):
    """A session on Airflow's own tables."""
    models.import_all_models()
    engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    Base.metadata.create_all(engine)
    with Session(engine) as made:
        yield made


def run(run_id: str, state: str) -> DagRun:
    made = DagRun(dag_id="iris-model", run_id=run_id, run_type="manual", run_after=THEN)
    made.state = state
    return made


def started(session: Session, limit: int, open_runs: int, *, is_paused: bool = False) -> list[str]:
    """:returns: the queued runs that Airflow's scheduler would start beside so many open releases"""
    session.add(DagBundleModel(name="dags"))
    session.flush()
    dag = DagModel(dag_id="iris-model", bundle_name="dags", max_active_runs=limit, is_paused=is_paused, is_stale=False)
    session.add(dag)
    session.add_all(run(f"release-{number}", "running") for number in range(open_runs))
    session.add(run("roll-back", "queued"))
    session.commit()
    return [one.run_id for one in DagRun.get_queued_dag_runs_to_set_running(session=session)]


def test_a_roll_back_starts_beside_any_number_of_open_releases(session):
    limit = build_release_dag(iris_model()).max_active_runs
    assert limit == MAX_OPEN_RUNS
    assert started(session, limit, 40) == ["roll-back"]


def test_airflows_own_limit_would_hold_it_back(session):
    """What the limit is for: without it this query finds nothing."""
    assert started(session, 16, 15) == ["roll-back"]
    session.add(run("release-15", "running"))
    session.commit()
    assert list(DagRun.get_queued_dag_runs_to_set_running(session=session)) == []


def test_a_paused_dag_starts_none(session):
    """Why the guard refuses a roll-back there."""
    assert started(session, MAX_OPEN_RUNS, 0, is_paused=True) == []


@pytest.mark.parametrize("mode", list(ExecutionMode))
def test_where_the_stages_do_not_limit_training_airflow_does(mode):
    dag = build_release_dag(iris_model().model_copy(update={"execution_mode": mode}))
    limit = dag.get_task("train").max_active_tis_per_dag
    assert limit == (16 if mode is ExecutionMode.PARALLEL else None)
    # Nothing that a roll-back runs waits for the tasks of other runs.
    for task_id in ("source", "roll_back", "deploy_prd", "test_prd"):
        assert dag.get_task(task_id).max_active_tis_per_dag is None
