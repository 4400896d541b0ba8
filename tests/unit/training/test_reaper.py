"""The reaper: which jobs it stops, and its DAGs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from slipway.aws.sagemaker import Resource
from slipway.training.owner import JobOwner
from slipway.training.reaper import build_reaper_dags, reap
from tests.unit.request_samples import iris_model

HERE = JobOwner("here", "iris-model", "train", "ended")


class SageMaker:
    """Running jobs with their owners; the ledger keeps what was changed."""

    def __init__(self, **owners: JobOwner | None) -> None:
        self.owners, self.ledger, self.status = owners, [], "InProgress"

    def training_jobs_in_progress(self, **filters):
        return [Resource("training job", name, name, "InProgress") for name in self.owners]

    def list_tags(self, arn):
        owner = self.owners[arn]
        return owner.to_tags() if owner else {}

    def describe_training_job(self, name):
        return {"TrainingJobArn": name, "TrainingJobStatus": self.status}

    def add_tags(self, arn, tags):
        self.ledger.append(("AddTags", arn, tags))

    def stop_training_job(self, name):
        self.ledger.append(("StopTrainingJob", name))
        return True


@pytest.fixture
def tasks():
    """One run has ended, one is open."""
    return SimpleNamespace(
        task_state=lambda owner: "failed" if owner.run_id == "ended" else "deferred", run_is_open=lambda owner: True
    )


def test_stops_the_orphans_of_this_airflow_marked_and_nothing_else(tasks):
    sagemaker = SageMaker(
        orphan=HERE, waited_for=replace(HERE, run_id="open"), elsewhere=replace(HERE, airflow="there"), nobodys=None
    )
    told = []
    assert reap(sagemaker, tasks, "here", lambda *job: told.append(job)) == ["orphan"]
    assert told == [("orphan", HERE)]
    assert sagemaker.ledger == [
        ("AddTags", "orphan", {"slipway:stopped-by": "airflow"}),
        ("StopTrainingJob", "orphan"),
    ]


def test_a_job_that_has_ended_since_it_was_listed_is_left_alone(tasks):
    sagemaker = SageMaker(orphan=HERE)
    sagemaker.status = "Completed"
    assert reap(sagemaker, tasks, "here") == []
    assert sagemaker.ledger == []


def test_models_of_one_connection_share_one_reaper():
    (dag,) = build_reaper_dags([iris_model()] * 2)
    assert dag.dag_id == "reaper"
    assert (dag.max_active_runs, dag.is_paused_upon_creation, dag.catchup) == (1, False, False)
    (asset,) = dag.timetable.asset_condition.objects
    (watcher,) = asset.watchers
    assert watcher.trigger.aws_conn_id == "aws_default"
    assert dag.get_task("stop_orphans").retries == 3


def test_several_connections_have_a_reaper_each():
    dags = build_reaper_dags([iris_model().model_copy(update={"aws_conn_id": each}) for each in ("one", "two")])
    assert len({dag.dag_id for dag in dags}) == 2
    assert all(dag.dag_id.startswith("reaper-") for dag in dags)
    assert build_reaper_dags([]) == []
