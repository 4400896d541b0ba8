"""TrainingJobTrigger: its serialization, what ends it, and when it stops the job."""

import asyncio
import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from airflow.triggers.base import BaseTrigger

from slipway.aws.sagemaker_api import WAITER_PATH
from slipway.training.owner import JobOwner
from slipway.training.wait import TrainingJobTrigger
from slipway.waiting.followed import MAX_LINES
from slipway.waiting.waiter import load_waiter, waiter_state
from tests.unit.scripted_trigger import ScriptedEnd

OWNER = JobOwner("here", "iris-model", "train", "run")
MISSING = {"Error": {"Code": "ValidationException", "Message": "Requested resource not found."}}


class Trigger(ScriptedEnd, TrainingJobTrigger):
    """Asks neither Airflow nor AWS."""


def trigger(cls=TrainingJobTrigger) -> BaseTrigger:
    return cls(
        job_name="job",
        deadline=time.time() + 5,
        poll_seconds=1,
        owner=OWNER.to_json(),
        aws_conn_id=None,
        region_name="us-west-2",
    )


def test_survives_serialization():
    path, arguments = trigger().serialize()
    module, _, name = path.rpartition(".")
    again = getattr(__import__(module, fromlist=[name]), name)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert (arguments["job_name"], arguments["owner"]) == ("job", OWNER.to_json())


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
def test_a_task_that_a_person_ends_stops_the_job(state):
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


def test_a_job_with_a_huge_log_does_not_block_other_triggers():
    told = []

    class Telling(TrainingJobTrigger):
        log = SimpleNamespace(info=lambda text, *values: told.append(text % values))

    async def read(client, *, stream_count):
        return [f"[{number}]" for number in range(MAX_LINES + 5)]

    flooded = trigger(Telling)

    async def client(hook_class, hook):
        return object()

    flooded.client, flooded._tail = client, SimpleNamespace(read=read)
    asyncio.run(flooded.observe({}))
    assert told[0].startswith("5 lines are left out here")
    assert told[1:] == [f"[{number}]" for number in range(5, MAX_LINES + 5)]


@pytest.mark.parametrize(
    ("tagged", "ledger"),
    [
        (OWNER, [("AddTags", {"slipway:stopped-by": "airflow"}), ("StopTrainingJob", "job")]),
        (None, [("AddTags", {"slipway:stopped-by": "airflow"}), ("StopTrainingJob", "job")]),
        (replace(OWNER, run_id="another"), []),
    ],
)
def test_the_job_is_marked_before_it_is_stopped_and_left_to_a_run_that_has_adopted_it(tagged, ledger):
    calls = []
    stopping = TrainingJobTrigger(job_name="job", deadline=0, poll_seconds=1, owner=OWNER.to_json())
    stopping.hook = lambda: SimpleNamespace(
        describe_training_job=lambda name: {"TrainingJobArn": "arn", "TrainingJobStatus": "InProgress"},
        list_tags=lambda arn: tagged.to_tags() if tagged else {},
        add_tags=lambda arn, tags: calls.append(("AddTags", tags)),
        stop_training_job=lambda name: calls.append(("StopTrainingJob", name)),
    )
    stopping._stop()
    assert calls == ledger
