"""EndpointInServiceTrigger: what it serialises and what ends it."""

import json

import pytest

from slipway.aws.sagemaker_base import WAITER_PATH
from slipway.deployment.wait import EndpointInServiceTrigger
from slipway.waiting.waiter import load_waiter, waiter_state


def test_survives_serialization():
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
def test_the_waiter_knows_success_failure_and_in_between(response, state):
    assert waiter_state(load_waiter(WAITER_PATH, "EndpointInService"), response) == state
