"""Orphaned jobs: which ones the search finds, how many calls it makes, and how the watcher survives errors of AWS."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from slipway.aws.sagemaker import Resource
from slipway.training import orphans
from slipway.training.orphans import FOREIGN_SECONDS, GRACE, OrphanSearch, OrphanWatcherTrigger
from slipway.training.owner import JobOwner
from tests.unit.own_time import give_time
from tests.unit.scripted_aws import Script, client_error

HERE = JobOwner("here", "iris-model", "train", "run")
JOB = Resource("training job", "mlops-iris-model-1", "arn", "InProgress")


class SageMaker:
    """Lists one job that runs, with these tags; counts calls."""

    def __init__(self, tags: dict[str, str]) -> None:
        self.tags, self.calls, self.jobs = tags, [], [JOB]

    def training_jobs_in_progress(self, *, name_contains, created_before):
        self.calls.append("ListTrainingJobs")
        assert name_contains == "mlops-"
        assert datetime.now(UTC) - created_before >= GRACE
        return self.jobs

    def list_tags(self, arn):
        self.calls.append("ListTags")
        return self.tags


class Tasks:
    """The states of tasks by run; a run is open unless it is listed as ended."""

    def __init__(self, *ended: str, **states: str | None) -> None:
        self.ended, self.states = ended, states

    def task_state(self, owner):
        return self.states.get(owner.run_id, "removed")

    def run_is_open(self, owner):
        return owner.run_id in self.states and owner.run_id not in self.ended


def found(tags: dict[str, str], tasks: Tasks, airflow: str | None = "here") -> list[str]:
    return [job.name for job, _ in OrphanSearch(SageMaker(tags), tasks).find(airflow)]


@pytest.mark.parametrize(
    ("tasks", "orphaned"),
    [
        (Tasks(run="running"), False),
        (Tasks(run="deferred"), False),
        (Tasks(run="up_for_retry"), False),
        (Tasks(run=None), False),
        (Tasks(run="failed"), True),
        (Tasks(run="skipped"), True),
        (Tasks(run="success"), True),
        (Tasks("run", run="running"), True),
        (Tasks(another="running"), True),
    ],
)
def test_a_job_is_an_orphan_when_its_task_has_ended_or_its_run_is_gone(tasks, orphaned):
    assert found(HERE.to_tags(), tasks) == ([JOB.name] if orphaned else [])


@pytest.mark.parametrize("tags", [{}, {"slipway:digest": "d"}, replace(HERE, airflow="there").to_tags()])
def test_a_job_of_another_airflow_or_without_an_owner_is_not_found(tags):
    assert found(tags, Tasks()) == []


def test_an_airflow_that_has_trained_nothing_asks_nothing():
    sagemaker = SageMaker(HERE.to_tags())
    assert OrphanSearch(sagemaker, Tasks()).find(None) == []
    assert sagemaker.calls == []


def test_a_poll_costs_one_call_however_many_jobs_are_waited_for():
    sagemaker = SageMaker(HERE.to_tags())
    search = OrphanSearch(sagemaker, Tasks(run="deferred"))
    for _ in range(3):
        assert search.find("here") == []
    assert sagemaker.calls == ["ListTrainingJobs", "ListTags", "ListTrainingJobs", "ListTrainingJobs"]


@pytest.mark.parametrize("tags", [{}, replace(HERE, airflow="there").to_tags()])
@pytest.mark.parametrize("count", [1, 100])
def test_the_jobs_of_others_are_read_once_in_minutes(monkeypatch, tags, count):
    """Two sizes: a look costs one call, however many jobs of another Airflow run in the account."""
    now = 1000.0
    give_time(monkeypatch, orphans, monotonic=lambda: now)
    sagemaker = SageMaker(tags)
    sagemaker.jobs = [replace(JOB, arn=f"arn{number}") for number in range(count)]
    search = OrphanSearch(sagemaker, Tasks(run="failed"))
    for _ in range(30):
        assert search.find("here") == []
    assert (sagemaker.calls.count("ListTrainingJobs"), sagemaker.calls.count("ListTags")) == (30, count)
    # A run of this Airflow has adopted them meanwhile, and has ended.
    sagemaker.tags, now = HERE.to_tags(), now + FOREIGN_SECONDS
    assert len(search.find("here")) == count
    assert sagemaker.calls.count("ListTags") == 2 * count


def test_a_job_that_another_run_has_adopted_is_left_to_it():
    sagemaker, tasks = SageMaker(HERE.to_tags()), Tasks(run="deferred", other="deferred")
    search = OrphanSearch(sagemaker, tasks)
    assert search.find("here") == []
    sagemaker.tags = replace(HERE, run_id="other").to_tags()
    tasks.states["run"] = "failed"
    assert search.find("here") == []
    tasks.states["other"] = "failed"
    assert [owner.run_id for _, owner in search.find("here")] == ["other"]


def test_serialization_round_trip():
    path, arguments = OrphanWatcherTrigger(aws_conn_id="c", poll_seconds=2.0).serialize()
    assert path == "slipway.training.orphans.OrphanWatcherTrigger"
    assert OrphanWatcherTrigger(**arguments).serialize() == (path, arguments)


def test_an_event_for_orphans_and_no_error_ends_the_watch(monkeypatch):
    monkeypatch.setattr(orphans, "airflow_id", lambda: "here")
    look = Script([], client_error("ExpiredToken"), OSError("no network"), [(JOB, HERE)])
    made = []
    trigger = OrphanWatcherTrigger(aws_conn_id=None, poll_seconds=0.001)
    trigger.search = lambda: (
        made.append(1) or SimpleNamespace(find=lambda airflow: look(airflow=airflow), watches_any=False)
    )

    async def first():
        stream = trigger.run()
        event = await anext(stream)
        await stream.aclose()
        return event.payload

    assert asyncio.run(first()) == {"waiting": 1}
    assert look.calls == [{"airflow": "here"}] * 4
    assert len(made) == 3
