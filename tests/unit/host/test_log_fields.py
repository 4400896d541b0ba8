"""What each line of a task's or trigger's log names beside its message."""

import asyncio
import contextvars
import json

import pytest
import structlog

from slipway.host import log_fields
from slipway.plan import pull_plan, pull_revision
from slipway.training.wait import TrainingJobTrigger
from slipway.waiting.polling import PollingTrigger
from slipway.waiting.results import WaitOutcome, WaitResult
from tests.unit.releases import release_plan
from tests.unit.task_runs import context

PLAN = release_plan()
NAMED = {"model": PLAN.prefix, "revision": PLAN.revision_id}


@pytest.fixture(autouse=True)
def own_context():
    """As in a process that has begun nothing yet."""
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


class Looking(PollingTrigger):
    """Ends at its first look, and keeps what its lines name then."""

    async def look(self):
        self.named = log_fields.bound()
        return WaitResult(WaitOutcome.REACHED).to_event()


def line() -> dict:
    """A line as Airflow writes it: with the fields of its context, by structlog's own processor."""
    return structlog.contextvars.merge_contextvars(None, "info", {"event": "Created the job"})


def test_a_task_that_has_read_its_plan_names_the_model_and_the_revision():
    assert line() == {"event": "Created the job"}
    pull_plan(context({"process_request": PLAN.to_xcom()}))
    assert line() == {"event": "Created the job", **NAMED}


def test_a_task_that_has_read_the_pinned_version_names_the_revision():
    pull_revision(context({"source": PLAN.revision.to_xcom()}))
    assert line() == {"event": "Created the job", "revision": PLAN.revision.revision_id}


def test_nothing_else_can_get_into_each_line():
    log_fields.bind({**NAMED, "HyperParameters": "secret"})
    assert line() == {"event": "Created the job", **NAMED}


def test_a_trigger_names_in_its_process_what_the_task_named_before_it_deferred():
    log_fields.bind(NAMED)
    made = Looking(poll_seconds=1.0, aws_conn_id=None, first_look=0.0)
    kept = json.loads(json.dumps(made.serialize()[1]))

    async def in_the_triggerer():
        trigger = Looking(**kept)
        return [event async for event in trigger.run()], trigger.named

    structlog.contextvars.clear_contextvars()
    events, named = contextvars.Context().run(asyncio.run, in_the_triggerer())
    assert (len(events), named) == (1, NAMED)
    assert log_fields.bound() == {}


def test_a_trigger_with_a_waiter_carries_the_fields_too():
    log_fields.bind(NAMED)
    made = TrainingJobTrigger(job_name="job", deadline=1.0, poll_seconds=1.0)
    structlog.contextvars.clear_contextvars()
    assert TrainingJobTrigger(**json.loads(json.dumps(made.serialize()[1]))).said == NAMED


def test_a_trigger_of_an_earlier_version_has_no_fields():
    made = TrainingJobTrigger(job_name="job", deadline=1.0, poll_seconds=1.0)
    arguments = {name: value for name, value in made.serialize()[1].items() if name != "said"}
    assert TrainingJobTrigger(**arguments).said == {}
