"""The polling loop: what ends it, which errors it retries, and that it then reads the credentials again."""

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
from tests.unit.scripted_aws import AsyncHook, Script, client_error
from tests.unit.task_runs import first_event

DONE = TriggerEvent({"outcome": "done"})
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
    trigger.first_look = 17.5
    first_event(trigger)
    assert happened == [(17.5, 0)]
    assert len(trigger.script.calls) == 1


def test_each_error_that_may_pass_makes_a_new_client():
    trigger = Looking(passing(), None, API_AWAY, DONE)
    assert first_event(trigger) == DONE.payload
    assert trigger.aws.connections == 3


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
