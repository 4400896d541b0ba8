"""The wait for a person: answer, record, deadline, and an AWS that does not answer."""

import asyncio
import time
from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from slipway.approval.wait import ApprovalOutcome, ApprovalTrigger
from tests.unit.scripted_aws import AsyncHook, Script, client_error

PENDING = {"ModelPackageArn": "arn:package", "ModelApprovalStatus": "PendingManualApproval"}
APPROVED = {"ModelPackageArn": "arn:package", "ModelApprovalStatus": "Approved"}
ANSWER = {"outcome": "answered"}
ANSWERED = ApprovalOutcome.ANSWERED.to_event()


class Registry:
    def __init__(self, *answers) -> None:
        self.describe = Script(*answers)

    async def describe_model_package(self, **arguments):
        return self.describe(**arguments)


def trigger_of(deadline_seconds=60.0, notice_seconds=60.0) -> ApprovalTrigger:
    now = time.time()
    return ApprovalTrigger(
        ti_id=str(uuid4()),
        model_package_arn="arn:package",
        deadline=now + deadline_seconds,
        notice_at=now + notice_seconds,
        poll_seconds=0.001,
    )


def wait(*packages, answers=(None,), deadline_seconds=60.0, notice_seconds=60.0):
    trigger, answered = trigger_of(deadline_seconds, notice_seconds), Script(*answers)
    hook = AsyncHook(Registry(*packages))
    trigger.hook = lambda hook_class: hook

    async def answer():
        return answered()

    trigger.answer = answer

    async def events():
        return [event.payload async for event in trigger.run()]

    (event,) = asyncio.run(events())
    return event, hook


def test_serialization_round_trip():
    trigger = trigger_of()
    path, arguments = trigger.serialize()
    assert path == "slipway.approval.wait.ApprovalTrigger"
    assert ApprovalTrigger(**arguments).serialize() == (path, arguments)


def test_a_decision_in_the_registry_ends_the_wait():
    event, hook = wait(PENDING, PENDING, APPROVED)
    assert event == {"outcome": "recorded"}
    assert hook.client.describe.calls == [{"ModelPackageName": "arn:package"}] * 3
    assert hook.connections == 1


def test_an_answer_ends_the_wait_and_comes_before_the_registry():
    event, hook = wait(PENDING, answers=(None, ANSWERED))
    assert event == ANSWER
    assert len(hook.client.describe.calls) == 1


def test_no_decision_in_time_ends_the_wait():
    assert wait(PENDING, deadline_seconds=-1.0)[0] == {"outcome": "timeout"}


@pytest.mark.parametrize("status", [APPROVED, APPROVED | {"ModelApprovalStatus": "Rejected"}])
def test_a_decision_counts_up_to_the_last_poll(status):
    assert wait(status, deadline_seconds=-1.0)[0] == {"outcome": "recorded"}


def test_passing_errors_are_waited_out():
    event, hook = wait(client_error("ThrottlingException"), client_error("x", status=503), APPROVED)
    assert event == {"outcome": "recorded"}
    assert hook.connections == 1


def test_the_answer_is_noticed_while_aws_is_away():
    assert wait(client_error("x", status=503), answers=(None, ANSWERED))[0] == ANSWER


def test_the_deadline_holds_while_aws_is_away():
    assert wait(client_error("x", status=503), deadline_seconds=-1.0)[0] == {"outcome": "timeout"}


def test_a_refusal_ends_the_wait_with_its_reason():
    event, _ = wait(client_error("AccessDeniedException"))
    assert event["outcome"] == "refused"
    assert "arn:package" in event["reason"]


@pytest.mark.parametrize(("received", "expected"), [(True, ANSWERED), (False, None)])
def test_airflow_is_asked_whether_somebody_has_answered(monkeypatch, received, expected):
    detail = SimpleNamespace(response_received=received)
    monkeypatch.setattr("airflow.sdk.execution_time.hitl.get_hitl_detail_content_detail", lambda ti_id: detail)
    assert asyncio.run(trigger_of().answer()) == expected


def test_a_notice_is_due_until_the_deadline():
    assert wait(PENDING, notice_seconds=-1.0)[0] == {"outcome": "notice"}
    assert wait(PENDING, notice_seconds=-1.0, deadline_seconds=-0.5)[0] == {"outcome": "timeout"}
    assert wait(APPROVED, notice_seconds=-1.0)[0] == {"outcome": "recorded"}


@pytest.mark.parametrize(("status", "expected"), [(404, ApprovalOutcome.UNASKED.to_event()), (503, None)])
def test_a_missing_question_is_told_from_an_api_server_that_is_away(monkeypatch, status, expected):
    def refuse(ti_id):
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status}))

    monkeypatch.setattr("airflow.sdk.execution_time.hitl.get_hitl_detail_content_detail", refuse)
    assert asyncio.run(trigger_of().answer()) == expected
