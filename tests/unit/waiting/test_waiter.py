"""PatientWaiterTrigger: transient errors are retried, final states and errors end the wait."""

import asyncio
import itertools
import json
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError

from slipway.waiting import results, waiter
from slipway.waiting.results import WaitOutcome, WaitResult, backoff_seconds, pauses
from slipway.waiting.waiter import PatientWaiterTrigger, load_waiter, waiter_state
from tests.unit.own_time import give_time

WAITERS = {
    "version": 2,
    "waiters": {
        "JobDone": {
            "operation": "DescribeTrainingJob",
            "delay": 1,
            "maxAttempts": 1,
            "acceptors": [
                {"matcher": "path", "argument": "TrainingJobStatus", "expected": "Completed", "state": "success"},
                {"matcher": "path", "argument": "TrainingJobStatus", "expected": "Failed", "state": "failure"},
                {"matcher": "error", "expected": "Gone", "state": "failure"},
                {"matcher": "path", "argument": "TrainingJobStatus", "expected": "InProgress", "state": "retry"},
            ],
        }
    },
}


def client_error(code: str, status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": f"{code} says AWS"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "DescribeTrainingJob")


def job(status: str, reason: str | None = None) -> dict:
    return {"TrainingJobStatus": status, "FailureReason": reason}


class ScriptedClient:
    def __init__(self, answers):
        self.answers = answers
        self.calls = []

    async def describe_training_job(self, **arguments):
        self.calls.append(arguments)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class ScriptedHook(AwsBaseHook):
    def __init__(self, client, waiter_file):
        super().__init__(aws_conn_id=None, client_type="sagemaker")
        self.client, self.waiter_file, self.connections = client, waiter_file, 0

    @property
    def waiter_path(self):
        return self.waiter_file

    async def get_async_conn(self):
        self.connections += 1

        @asynccontextmanager
        async def connection():
            yield self.client

        return connection()


class JobTrigger(PatientWaiterTrigger):
    def __init__(self, job_name, **kwargs):
        super().__init__(
            serialized_fields={"job_name": job_name},
            waiter_name="JobDone",
            waiter_args={"TrainingJobName": job_name},
            status_query="TrainingJobStatus",
            reason_query="FailureReason",
            **kwargs,
        )
        self.observed = []

    async def observe(self, response):
        self.observed.append(response.get("TrainingJobStatus"))


@pytest.fixture
def waiter_file(tmp_path) -> Path:
    path = tmp_path / "waiters.json"
    path.write_text(json.dumps(WAITERS))
    return path


def run(answers, waiter_file, *, deadline_seconds=60.0):
    hook = ScriptedHook(ScriptedClient(answers), waiter_file)
    trigger = JobTrigger("job-1", deadline=time.time() + deadline_seconds, poll_seconds=0.001)
    trigger.hook = lambda: hook

    async def events():
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(events())
    return WaitResult.from_event(event.payload), hook, trigger


@pytest.mark.parametrize(
    ("poll_seconds", "expected"), [(2, [0.5, 0.75, 1.125, 1.6875, 2, 2]), (0.5, [0.5, 0.5]), (60, [0.5, 0.75])]
)
def test_it_looks_often_at_first(poll_seconds, expected):
    assert list(itertools.islice(pauses(poll_seconds), len(expected))) == expected


def test_no_end_is_seen_later_than_half_of_the_wait_and_an_hour_costs_few_looks_more():
    looks = [results.FIRST_PAUSE_SECONDS]
    for pause in pauses(10.0):
        if looks[-1] > 3600:
            break
        looks.append(looks[-1] + pause)
    assert all(after <= before * 1.5 for before, after in itertools.pairwise(looks))
    assert len(looks) <= 3600 / 10 + 8


def slept(monkeypatch, when: float) -> float:
    """How long a triggerer whose clock shows 100 sleeps before a first look."""
    found = []

    async def sleep(seconds):
        found.append(seconds)

    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "5")
    give_time(monkeypatch, results, time=lambda: 100.0)
    monkeypatch.setattr(waiter.asyncio, "sleep", sleep)
    asyncio.run(results.sleep_until_first_look(when))
    return found[0]


# In time; made a while ago, as after a restart of the triggerer; by a worker whose clock is an hour ahead.
@pytest.mark.parametrize(("when", "seconds"), [(104, 4), (50, 0), (3700, 10)])
def test_it_does_not_look_before_the_process_that_defers_has_ended(monkeypatch, when, seconds):
    assert slept(monkeypatch, when) == seconds


def test_a_trigger_that_a_task_makes_looks_after_twice_the_workers_interval(monkeypatch):
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "5")
    give_time(monkeypatch, results, time=lambda: 100.0)
    made = JobTrigger("job-1", deadline=500.0, poll_seconds=1.0)
    assert made.first_look == 110
    give_time(monkeypatch, results, time=lambda: 107.0)
    assert JobTrigger(**made.serialize()[1]).first_look == 110


@pytest.mark.parametrize("executor", [results.EXECUTOR, *results.CELERY_EXECUTORS])
def test_it_does_not_wait_for_the_worker_where_a_task_may_be_resumed_at_any_time(monkeypatch, executor):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    give_time(monkeypatch, results, time=lambda: 100.0)
    assert JobTrigger("job-1", deadline=500.0, poll_seconds=1.0).first_look == 101
    assert slept(monkeypatch, 104) == 1


def test_a_wait_takes_these_pauses(waiter_file, monkeypatch):
    monkeypatch.setattr(waiter, "pauses", lambda poll_seconds: iter([0.1, 0.2, 0.4]))
    slept = []

    async def sleep(trigger, seconds):
        slept.append(seconds)

    monkeypatch.setattr(JobTrigger, "_sleep", sleep)
    run([job("InProgress"), job("InProgress"), job("Completed")], waiter_file)
    assert slept == [0.1, 0.2]


def test_waits_through_in_progress_to_success(waiter_file):
    result, hook, trigger = run([job("InProgress"), job("InProgress"), job("Completed")], waiter_file)
    assert result == WaitResult(WaitOutcome.REACHED, "Completed", "")
    assert hook.client.calls == [{"TrainingJobName": "job-1"}] * 3
    assert trigger.observed == ["InProgress", "InProgress", "Completed"]


def test_a_failure_state_carries_the_reason_aws_gives(waiter_file):
    result, _, _ = run([job("Failed", "ClientError: no data")], waiter_file)
    assert result == WaitResult(WaitOutcome.FAILED, "Failed", "ClientError: no data")


@pytest.mark.parametrize(
    "passing",
    [
        client_error("ThrottlingException"),
        client_error("InternalFailure", 500),
        client_error("anything", 503),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        ClientPayloadError("Response payload is not completed"),
        ResponseParserError("Unable to parse response"),
    ],
    ids=["throttling", "500", "503", "connection refused", "breaks off", "half an answer"],
)
def test_passing_errors_are_waited_out_with_one_client(passing, waiter_file):
    result, hook, _ = run([passing, passing, job("Completed")], waiter_file)
    assert result.outcome is WaitOutcome.REACHED
    assert hook.connections == 1


def test_the_pauses_grow_while_aws_throttles(waiter_file, monkeypatch):
    counted = []
    monkeypatch.setattr(waiter, "backoff_seconds", lambda errors, *, base_seconds: counted.append(errors) or 0.0)
    run(
        [
            *[client_error("ThrottlingException")] * 3,
            job("InProgress"),
            *[client_error("x", 500)] * 2,
            job("Completed"),
        ],
        waiter_file,
    )
    assert counted == [1, 2, 3, 1, 2]


def test_an_expired_token_is_waited_out_with_new_clients_which_read_the_credentials_again(waiter_file):
    expired = client_error("ExpiredTokenException")
    result, hook, _ = run([expired, expired, job("Completed")], waiter_file)
    assert result.outcome is WaitOutcome.REACHED
    assert hook.connections == 3


def test_keys_that_were_replaced_are_read_again_before_a_wait_ends(waiter_file):
    replaced = client_error("InvalidClientTokenId", 403)
    result, hook, _ = run([replaced, job("InProgress"), replaced, job("Completed")], waiter_file)
    assert (result.outcome, hook.connections) == (WaitOutcome.REACHED, 3)
    result, hook, _ = run([replaced, replaced, job("Completed")], waiter_file)
    assert (result.outcome, hook.connections) == (WaitOutcome.REFUSED, 2)


def test_an_error_that_the_waiter_does_not_name_ends_the_wait(waiter_file):
    result, _, _ = run([client_error("AccessDeniedException")], waiter_file)
    assert result.outcome is WaitOutcome.REFUSED
    assert "AccessDeniedException says AWS" in result.reason


def test_an_error_that_the_waiter_names_is_a_state(waiter_file):
    result, _, _ = run([client_error("Gone")], waiter_file)
    assert result == WaitResult(WaitOutcome.FAILED, "", "Gone says AWS")


@pytest.mark.parametrize("answer", [job("InProgress"), client_error("ThrottlingException")])
def test_the_deadline_ends_the_wait(answer, waiter_file):
    result, _, _ = run([answer], waiter_file, deadline_seconds=0.0)
    assert result.outcome is WaitOutcome.TIMEOUT


def test_serialization_round_trip():
    trigger = JobTrigger("job-1", deadline=17.5, poll_seconds=2.0, aws_conn_id="other", region_name="eu-west-1")
    path, arguments = trigger.serialize()
    assert path.endswith(".JobTrigger")
    again = JobTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert (again.deadline, again.poll_seconds, again.aws_conn_id) == (17.5, 2.0, "other")


def test_back_off_grows_is_jittered_and_is_bounded():
    assert all(0.1 <= backoff_seconds(1, base_seconds=1.0) <= 1.0 for _ in range(50))
    assert all(backoff_seconds(40, base_seconds=1.0) <= 60.0 for _ in range(50))
    assert len({backoff_seconds(5, base_seconds=1.0) for _ in range(20)}) > 1


def test_an_answer_the_waiter_does_not_know_is_no_state(waiter_file):
    known = load_waiter(waiter_file, "JobDone")
    assert waiter_state(known, job("Paused")) is None
    assert waiter_state(known, job("InProgress")) == "retry"


def test_resumed_without_an_event():
    with pytest.raises(ValueError, match="without an event"):
        WaitResult.from_event(None)
