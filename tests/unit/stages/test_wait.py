"""The wait for a stage: what ends it, what it outlasts, and that it can be built again."""

import asyncio
import json

import pytest
from aiohttp import ClientPayloadError
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from botocore.exceptions import EndpointConnectionError

from slipway.stages.board import Board, BoardPlace
from slipway.stages.wait import StageTrigger
from slipway.states import BoardStage
from slipway.waiting.results import WaitOutcome, WaitResult
from tests.unit.scripted_aws import AsyncHook, Script, client_error
from tests.unit.stages.test_board import entry
from tests.unit.stages.test_gate import ticket


class Body:
    def __init__(self, data: bytes) -> None:
        self.data = data

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass

    async def read(self):
        if isinstance(self.data, Exception):
            raise self.data
        return self.data


class S3Client:
    """Shows one board after the other."""

    def __init__(self, *answers) -> None:
        self.look = Script(*answers)

    async def get_object(self, **arguments):
        found = self.look(**arguments)
        if found == BREAKS_OFF:
            found = ClientPayloadError("Response payload is not completed")
        if isinstance(found, Board):
            found = json.dumps(found.to_json()).encode()
        return {"Body": Body(found), "ETag": '"e"'}


BREAKS_OFF = b"breaks off"
BEHIND_1 = Board({BoardStage.DEV: BoardPlace(entry(1), (entry(2),))})
FREE = Board({BoardStage.DEV: BoardPlace(None, (entry(2),))})
NEWER_WAITS = Board({BoardStage.DEV: BoardPlace(entry(1), (entry(2), entry(3)))})
NOT_IN_LINE = Board({BoardStage.DEV: BoardPlace(entry(1))})


def wait(*answers, ended=(), goes_on=None, refusals=()):
    trigger = StageTrigger(ticket=ticket(2).to_json(), aws_conn_id=None, poll_seconds=0.001)
    hook = AsyncHook(S3Client(*answers), *refusals)
    trigger.hook = lambda hook_class: hook

    async def still(dag_id, run_id):
        return run_id not in ended

    trigger.goes_on = goes_on or still

    async def events():
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(asyncio.wait_for(events(), 60))
    return WaitResult.from_event(event.payload), hook


def test_serialization_round_trip():
    trigger = StageTrigger(ticket=ticket(2).to_json(), aws_conn_id="c", poll_seconds=2.0)
    path, arguments = trigger.serialize()
    assert path == "slipway.stages.wait.StageTrigger"
    assert json.loads(json.dumps(arguments)) == arguments
    assert StageTrigger(**arguments).serialize() == (path, arguments)


@pytest.mark.parametrize(
    ("then", "status"), [(FREE, "entered"), (NEWER_WAITS, "overtaken"), (Board(), "entered"), (NOT_IN_LINE, "wait")]
)
def test_the_wait_lasts_while_the_release_is_in_line_behind_another(then, status):
    result, hook = wait(BEHIND_1, BEHIND_1, then)
    assert result == WaitResult(WaitOutcome.REACHED, status=status)
    assert len(hook.client.look.calls) == 3
    assert hook.connections == 1


def test_the_end_of_the_run_that_has_the_stage_ends_the_wait():
    result, _ = wait(BEHIND_1, ended={"run1"})
    assert result.status == "entered"


def test_what_is_passing_is_outlasted():
    result, hook = wait(client_error("SlowDown", status=503), client_error("ExpiredToken"), FREE)
    # Only the expired token needs another client.
    assert (result.outcome, hook.connections) == (WaitOutcome.REACHED, 2)


def test_a_board_whose_body_breaks_off_is_read_again():
    result, hook = wait(BREAKS_OFF, BREAKS_OFF, FREE)
    assert (result.outcome, hook.connections) == (WaitOutcome.REACHED, 1)


def test_an_api_server_that_is_away_is_outlasted():
    answers = iter([AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR)), False])

    async def goes_on(dag_id, run_id):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    result, _ = wait(BEHIND_1, goes_on=goes_on)
    assert result.status == "entered"


@pytest.mark.parametrize("answer", [client_error("AccessDenied", status=403), b"[]", b"not JSON", b'{"dev": 1}'])
def test_what_is_final_ends_the_wait(answer):
    result, _ = wait(answer)
    assert result.outcome is WaitOutcome.REFUSED
    assert "releases/iris-model/stages.json" in result.reason


def test_a_role_whose_credentials_cannot_be_had_now_is_waited_for():
    result, hook = wait(FREE, refusals=[EndpointConnectionError(endpoint_url="https://sts")])
    assert result.outcome is WaitOutcome.REACHED
    assert hook.connections == 2
