"""The polling loop: what ends it, which errors it retries, and when it reads the credentials again."""

import asyncio
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.triggers.base import TriggerEvent

from slipway.aws.s3 import S3Hook
from slipway.aws.translation import translate
from slipway.errors import PermanentError
from slipway.waiting import polling
from slipway.waiting.polling import PollingTrigger
from tests.unit.own_time import give_time
from tests.unit.scripted_aws import AsyncHook, Script, client_error
from tests.unit.task_runs import first_event

DONE = TriggerEvent({"outcome": "done"})
HOUR = 3600
API_AWAY = AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))


def passing() -> Exception:
    return translate(client_error("ThrottlingException"), what="Cannot look")


class Looking(PollingTrigger):
    """Gives scripted answers, each of them after it has asked for a client."""

    def __init__(self, *answers, away=None) -> None:
        super().__init__(poll_seconds=0.001, aws_conn_id=None)
        self.script, self.aws, self.away = Script(*answers), AsyncHook(SimpleNamespace()), away

    def hook(self, hook_class):
        return self.aws

    async def look(self):
        assert await self.client(S3Hook) is self.aws.client
        return self.script()

    async def while_away(self, error):
        return self.away


def test_it_looks_until_there_is_something_to_tell_with_one_client():
    trigger = Looking(None, None, DONE)
    assert first_event(trigger) == DONE.payload
    assert (len(trigger.script.calls), trigger.aws.connections) == (3, 1)


def test_it_does_not_look_before_the_process_that_defers_has_ended(monkeypatch):
    happened = []
    trigger = Looking(DONE)

    async def sleep(when):
        happened.append((when, len(trigger.script.calls)))

    monkeypatch.setattr(polling, "sleep_until_first_look", sleep)
    # A wait of so long ago is one that another triggerer began, and rests before it looks.
    monkeypatch.setattr(polling, "sleep", sleep_not)
    trigger.first_look = 17.5
    first_event(trigger)
    assert happened == [(17.5, 0)]
    assert len(trigger.script.calls) == 1


def test_an_error_that_may_pass_leaves_the_client_as_it_is():
    trigger = Looking(passing(), None, API_AWAY, DONE)
    assert first_event(trigger) == DONE.payload
    assert trigger.aws.connections == 1


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
def test_an_error_about_the_credentials_makes_a_new_client(code):
    stale = translate(client_error(code), what="Cannot look")
    trigger = Looking(stale, None, stale, DONE)
    assert first_event(trigger) == DONE.payload
    assert trigger.aws.connections == 3


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"])
def test_keys_that_were_replaced_are_read_again_before_a_wait_ends(code):
    replaced = translate(client_error(code, status=403), what="Cannot look")
    trigger = Looking(None, replaced, None, replaced, DONE)
    assert first_event(trigger) == DONE.payload
    assert trigger.aws.connections == 3
    event = first_event(Looking(replaced, replaced, DONE))
    assert (event["outcome"], event["reason"]) == ("refused", replaced.problem)


def test_the_older_a_wait_the_less_often_it_looks(monkeypatch):
    now, looks = [1000.0], []
    trigger = Looking(None)
    trigger.poll_seconds, trigger.first_look = 3.0, 1000.0

    async def look():
        looks.append(now[0] - 1000.0)
        return DONE if looks[-1] > 2 * HOUR else None

    async def sleep(seconds):
        now[0] += seconds

    trigger.look = look
    monkeypatch.setattr(polling, "sleep_until_first_look", sleep_not)
    monkeypatch.setattr(polling, "sleep", sleep)
    give_time(monkeypatch, polling, time=lambda: now[0])
    first_event(trigger)
    assert [round(one) for one in looks[:4]] == [0, 3, 6, 9]
    in_hour = [sum(1 for one in looks if hour * HOUR < one <= (hour + 1) * HOUR) for hour in range(2)]
    assert in_hour == [241, 60]


async def sleep_not(when):
    pass


def test_waits_that_go_on_in_a_new_triggerer_do_not_all_look_at_once(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(polling, "sleep", sleep)
    for _ in range(20):
        trigger = Looking(DONE)
        trigger.first_look = 1.0
        first_event(trigger)
    assert len(set(slept)) == 20
    assert all(0 <= one <= 60 for one in slept)


def test_a_look_that_gets_no_answer_ends_a_wait_that_is_over(monkeypatch):
    monkeypatch.setattr(polling, "LOOK_SECONDS", 0.01)
    trigger = Looking(away=DONE)
    trigger.look = asyncio.Event().wait
    assert first_event(trigger) == DONE.payload


def test_an_error_that_may_pass_ends_a_wait_that_is_over():
    assert first_event(Looking(passing(), away=DONE)) == DONE.payload


@pytest.mark.parametrize(
    "error", [translate(client_error("AccessDenied", status=403), what="Cannot look"), PermanentError("Cannot look")]
)
def test_any_other_ends_it_as_refused(error):
    event = first_event(Looking(error, away=DONE))
    assert (event["outcome"], event["reason"], event["fix"]) == ("refused", error.problem, error.fix or "")


def test_credentials_that_cannot_be_had_now_are_asked_for_again():
    trigger = Looking(DONE)
    trigger.aws.refusals.append(client_error("ThrottlingException"))
    assert first_event(trigger) == DONE.payload
    assert trigger.aws.connections == 2
