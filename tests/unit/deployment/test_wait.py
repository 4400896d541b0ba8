"""The waiters of stacks, change sets and endpoints, state by state, and the triggers that poll with them."""

import json

import pytest

from slipway.aws.cloudformation import WAITER_PATH
from slipway.aws.sagemaker_api import WAITER_PATH as SAGEMAKER_WAITERS
from slipway.deployment.wait import ChangeSetTrigger, EndpointInServiceTrigger, StackTrigger, StackWait
from slipway.states import StackStatus
from slipway.waiting.waiter import load_waiter, waiter_state

GOOD = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}
MISSING = {"Error": {"Code": "ValidationError", "Message": "Stack with id x does not exist"}}
CONNECTION = {
    "aws_conn_id": "other",
    "region_name": "eu-west-1",
    "verify": False,
    "botocore_config": {"read_timeout": 9},
}


def state(waiter: str, response: dict) -> str | None:
    return waiter_state(load_waiter(WAITER_PATH, waiter), response)


def stack(status: str) -> dict:
    return {"Stacks": [{"StackName": "x", "StackStatus": status}]}


@pytest.mark.parametrize("status", StackStatus)
def test_deployed(status):
    if status.in_progress or status is StackStatus.REVIEW_IN_PROGRESS:
        expected = "retry"
    else:
        expected = "success" if status in GOOD else "failure"
    assert state("StackDeployed", stack(status)) == expected


@pytest.mark.parametrize("status", StackStatus)
def test_idle(status):
    assert state("StackIdle", stack(status)) == ("retry" if status.in_progress else "success")


@pytest.mark.parametrize(
    ("status", "expected"),
    [("DELETE_COMPLETE", "success"), ("DELETE_IN_PROGRESS", "retry"), ("DELETE_FAILED", "failure")],
)
def test_deleted(status, expected):
    assert state("StackDeleted", stack(status)) == expected


@pytest.mark.parametrize(
    ("waiter", "expected"), [("StackDeployed", "failure"), ("StackIdle", "success"), ("StackDeleted", "success")]
)
def test_a_missing_stack(waiter, expected):
    assert state(waiter, MISSING) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("CREATE_COMPLETE", "success"),
        ("CREATE_PENDING", "retry"),
        ("CREATE_IN_PROGRESS", "retry"),
        ("FAILED", "failure"),
        ("DELETE_COMPLETE", "failure"),
    ],
)
def test_change_set_made(status, expected):
    assert state("ChangeSetMade", {"Status": status}) == expected


def test_a_missing_change_set():
    assert state("ChangeSetMade", {"Error": {"Code": "ChangeSetNotFound"}}) == "failure"


def test_an_unknown_state_is_no_state():
    assert state("StackDeployed", stack("SLEEPING")) is None


@pytest.mark.parametrize("wait", StackWait)
def test_stack_trigger_round_trip(wait):
    trigger = StackTrigger(stack="s", wait=wait.value, deadline=17.5, poll_seconds=2.0, **CONNECTION)
    path, arguments = trigger.serialize()
    assert path == "slipway.deployment.wait.StackTrigger"
    again = StackTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert (again.waiter_name, again.waiter_args, again.deadline) == (wait.value, {"StackName": "s"}, 17.5)


def test_change_set_trigger_round_trip():
    trigger = ChangeSetTrigger(stack="s", change_set="c", deadline=17.5, poll_seconds=2.0, **CONNECTION)
    path, arguments = trigger.serialize()
    assert path == "slipway.deployment.wait.ChangeSetTrigger"
    again = ChangeSetTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert again.waiter_args == {"StackName": "s", "ChangeSetName": "c"}


def test_endpoint_trigger_round_trip():
    trigger = EndpointInServiceTrigger(endpoint_name="iris-model-development", deadline=12.5, poll_seconds=2)
    path, arguments = trigger.serialize()
    assert path == "slipway.deployment.wait.EndpointInServiceTrigger"
    assert EndpointInServiceTrigger(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)


@pytest.mark.parametrize(
    ("response", "state"),
    [
        ({"EndpointStatus": "InService"}, "success"),
        ({"EndpointStatus": "Failed"}, "failure"),
        ({"EndpointStatus": "OutOfService"}, "failure"),
        ({"EndpointStatus": "UpdateRollbackFailed"}, "failure"),
        ({"Error": {"Code": "ValidationException", "Message": "Could not find endpoint"}}, "failure"),
        ({"EndpointStatus": "Creating"}, None),
        ({"EndpointStatus": "Updating"}, None),
        ({"EndpointStatus": "RollingBack"}, None),
    ],
)
def test_endpoint_in_service(response, state):
    assert waiter_state(load_waiter(SAGEMAKER_WAITERS, "EndpointInService"), response) == state
