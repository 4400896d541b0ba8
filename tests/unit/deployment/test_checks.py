"""What must hold before an endpoint is changed, and afterwards."""

import pytest

from slipway.deployment.checks import check_drift, check_not_retired, check_sequence, check_served
from slipway.errors import NameConflict, StackFailed, Superseded, TrialFailed
from tests.unit.releases import release_plan

OUTPUTS = {"EndpointConfigName": "ours"}
LIVE = {"Revision": "e" * 32, "Sequence": "2020-01-01T00:00:00+00:00", "EndpointConfigName": "config-1"}


def test_an_endpoint_that_is_not_there_or_is_the_stacks_own_may_be_changed():
    check_drift(None, {}, "s")
    check_drift({"EndpointName": "e", "EndpointConfigName": "ours"}, OUTPUTS, "s")


def test_an_endpoint_of_somebody_else_or_moved_by_hand_may_not():
    with pytest.raises(NameConflict, match="outside the stack"):
        check_drift({"EndpointName": "e", "EndpointConfigName": "ours"}, {}, "s")
    with pytest.raises(StackFailed, match="serves theirs, the stack says ours"):
        check_drift({"EndpointName": "e", "EndpointConfigName": "theirs"}, OUTPUTS, "s")


def test_an_older_release_is_superseded():
    plan = release_plan()
    check_sequence({}, plan, "s")
    check_sequence(LIVE, plan, "s")
    check_sequence({"Sequence": plan.sequence}, plan, "s")
    with pytest.raises(Superseded, match=r"at 2025-05-01.*this one is of 2024"):
        check_sequence({"Sequence": "2025-05-01T00:00:00+00:00"}, plan, "s")


@pytest.mark.parametrize("sequence", ["9999-12-31T23:59:59+00:00", "soon", "2025-05-01T00:00:00"])
def test_an_invalid_sequence_or_one_in_the_future_is_ignored(sequence, caplog):
    plan = release_plan()
    check_sequence({"Sequence": sequence}, plan, "mlops-deploy-iris-model-prd")
    assert f"The sequence of the stack mlops-deploy-iris-model-prd is ignored: '{sequence}'" in caplog.text


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        (None, "no endpoint"),
        ({"EndpointStatus": "Failed", "FailureReason": "no ping"}, "Failed: no ping"),
        ({"EndpointStatus": "InService", "EndpointConfigName": "config-0"}, "serves config-0, the stack says config-1"),
    ],
)
def test_in_service_is_not_enough(endpoint, why):
    with pytest.raises(StackFailed, match=why):
        check_served(endpoint, LIVE, "s")


def test_served():
    check_served({"EndpointStatus": "InService", "EndpointConfigName": "config-1"}, LIVE, "s")


def test_a_retired_release_is_not_deployed_again():
    plan = release_plan()
    own = {**LIVE, "Revision": plan.revision_id, "TrialOutcome": "retired"}
    with pytest.raises(TrialFailed, match="new_attempt"):
        check_not_retired(own, plan, "stack")
    check_not_retired({**own, "TrialOutcome": "promoted"}, plan, "stack")
    check_not_retired({**own, "Revision": "0" * 32}, plan, "stack")
