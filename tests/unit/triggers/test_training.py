"""TrainingJobTrigger: what it serialises, what ends it, and when it stops the job."""

import asyncio
import json
import time
from types import SimpleNamespace

import pytest
from airflow.triggers.base import BaseTrigger

from slipway.hooks.sagemaker_base import WAITER_PATH
from slipway.triggers.patience import load_waiter, waiter_state
from slipway.triggers.training import TrainingJobTrigger

MISSING = {"Error": {"Code": "ValidationException", "Message": "Requested resource not found."}}


class Trigger(TrainingJobTrigger):
    """With a scripted task state and a ledger in place of AWS."""

    state: str | None = None

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stopped = 0

    async def _task_state(self):
        return self.state

    def _stop(self):
        self.stopped += 1


def trigger(cls=TrainingJobTrigger) -> BaseTrigger:
    return cls(job_name="job", deadline=time.time() + 5, poll_seconds=1, aws_conn_id=None, region_name="us-west-2")


def test_survives_serialization():
    path, arguments = trigger().serialize()
    module, _, name = path.rpartition(".")
    again = getattr(__import__(module, fromlist=[name]), name)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert arguments["job_name"] == "job"


@pytest.mark.parametrize(
    ("response", "state"),
    [
        ({"TrainingJobStatus": "Completed"}, "success"),
        ({"TrainingJobStatus": "Failed"}, "failure"),
        ({"TrainingJobStatus": "Stopped"}, "failure"),
        (MISSING, "failure"),
        ({"TrainingJobStatus": "InProgress"}, None),
        ({"TrainingJobStatus": "Stopping"}, None),
    ],
)
def test_the_waiter_knows_success_failure_and_in_between(response, state):
    assert waiter_state(load_waiter(WAITER_PATH, "TrainingJobCompleted"), response) == state


@pytest.mark.parametrize(
    "state", ["failed", "success", "skipped", "scheduled", "queued", "running", "up_for_retry", None]
)
def test_a_task_taken_away_by_a_person_stops_the_job(state):
    killed = trigger(Trigger)
    killed.state = state
    asyncio.run(killed.on_kill())
    assert killed.stopped == 1


def test_a_task_that_another_triggerer_waits_for_keeps_its_job():
    moved = trigger(Trigger)
    moved.state = "deferred"
    asyncio.run(moved.on_kill())
    assert moved.stopped == 0


def test_the_end_of_the_triggerer_stops_nothing():
    closing = trigger(Trigger)
    asyncio.run(closing.cleanup())
    assert closing.stopped == 0


def test_the_job_is_marked_before_it_is_stopped():
    ledger = []
    hook = SimpleNamespace(
        describe_training_job=lambda name: {"TrainingJobArn": "arn", "TrainingJobStatus": "InProgress"},
        add_tags=lambda arn, tags: ledger.append(("AddTags", tags)),
        stop_training_job=lambda name: ledger.append(("StopTrainingJob", name)),
    )
    stopping = trigger()
    stopping.hook = lambda: hook
    stopping._stop()
    assert ledger == [("AddTags", {"slipway:stopped-by": "airflow"}), ("StopTrainingJob", "job")]
