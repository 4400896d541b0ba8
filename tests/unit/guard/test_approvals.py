"""What the API server reads of a DAG, and that it keeps none."""

import gc
from datetime import timedelta
from uuid import uuid4

import pytest
from airflow import models
from airflow.models.base import Base
from airflow.models.dag_version import DagVersion
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from slipway.guard import approvals
from slipway.model.config import ModelConfig
from slipway.release_dag import build_release_dag
from tests.unit.board.world import NOW, World, iris

MODEL = "iris-model"


@pytest.fixture
def world():
    models.import_all_models()
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with World(engine) as made:
        made.model(MODEL)
    yield made
    engine.dispose()


def change(world: World, number: int, model: ModelConfig) -> None:
    """Write a further version of the model's DAG, as a change of the model file makes one."""
    version, at = uuid4(), NOW + timedelta(minutes=number)
    data = LazyDeserializedDAG.from_dag(build_release_dag(model)).data
    with world:
        world.add(DagVersion, id=version, version_number=number, dag_id=MODEL, created_at=at, last_updated=at)
        world.add(
            SerializedDagModel,
            id=uuid4(),
            dag_id=MODEL,
            data=data,
            dag_hash=f"{number:032}",
            dag_version_id=version,
            created_at=at,
            last_updated=at,
        )


def approvers(world: World) -> list[str]:
    with Session(world.engine) as session:
        return approvals.approver_names(MODEL, session)


def approved_by(*names: str) -> ModelConfig:
    model = iris()
    return model.model_copy(update={"approval": model.approval.model_copy(update={"approvers": names})})


def test_the_newest_version_counts(world):
    assert approvers(world) == ["alice", "carol"]
    change(world, 2, approved_by("bob"))
    assert approvers(world) == ["bob"]


def test_of_a_dag_that_is_not_there_nothing_is_known(world):
    with Session(world.engine) as session:
        assert approvals.rules_by_task("nothing", session) == {}
        assert approvals.task_types("nothing", session) == set()
        assert approvals.form_fields("nothing", session) == frozenset()


def test_no_version_of_a_dag_is_kept(world):
    def kept() -> int:
        gc.collect()
        return sum(isinstance(one, SerializedDAG) and one.dag_id == MODEL for one in gc.get_objects())

    before = kept()
    for number in range(2, 6):
        change(world, number, approved_by(f"person-{number}"))
        assert approvers(world) == [f"person-{number}"]
        with Session(world.engine) as session:
            assert "HumanApprovalSensor" in approvals.task_types(MODEL, session)
            assert approvals.form_fields(MODEL, session)
    assert kept() == before
