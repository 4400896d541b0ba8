"""What has to hold before an endpoint is changed."""

import pytest

from slipway.approval_record import APPROVAL_PREFIX, DECISION
from slipway.approval_rules import ONLY_STAGE, Rules, Stage
from slipway.errors import NameConflict, NotApproved, StackFailed
from slipway.production_checks import check_approved, check_drift

RULES = Rules((Stage(ONLY_STAGE, ("alice", "carol"), quorum=2),), allow_uploader=False)
OUTPUTS = {"EndpointConfigName": "ours"}


def package(status: str, *approvers: str, recorded: bool = True) -> dict:
    properties = {f"{APPROVAL_PREFIX}{n}": f"2026/{ONLY_STAGE}/Airflow/{who}" for n, who in enumerate(approvers, 1)}
    if recorded and status != "PendingManualApproval":
        properties |= {DECISION: status, "slipway-decided-by": "carol", "slipway-decided-how": "Airflow"}
    return {"ModelPackageArn": "arn:p/1", "ModelApprovalStatus": status, "CustomerMetadataProperties": properties}


def test_enough_approvals_let_it_in():
    assert check_approved(package("Approved", "alice", "carol"), RULES, "dave").approved


def test_a_decision_made_in_sagemaker_is_iams_to_judge():
    assert check_approved(package("Approved", recorded=False), RULES, "alice").approved


@pytest.mark.parametrize(
    ("found", "uploader", "why"),
    [
        (package("PendingManualApproval"), None, r"nobody has decided.*alice, carol.*update-model-package"),
        (package("PendingManualApproval", "alice"), None, "alice approved at 2026; that does not suffice"),
        (package("Rejected"), None, "carol rejected it"),
        (package("Approved", "alice"), None, "1 of carol must approve.*PendingManualApproval"),
        (package("Approved", "alice", "carol"), "carol", "must approve"),
    ],
)
def test_anything_less_is_refused_with_what_to_do(found, uploader, why):
    with pytest.raises(NotApproved, match=rf"{why}.*Fix|{why}"):
        check_approved(found, RULES, uploader)


def test_an_endpoint_that_is_not_there_or_is_the_stacks_own_may_be_changed():
    check_drift(None, {}, "s")
    check_drift({"EndpointName": "e", "EndpointConfigName": "ours"}, OUTPUTS, "s")


def test_an_endpoint_of_somebody_else_or_moved_by_hand_may_not():
    with pytest.raises(NameConflict, match="outside the stack"):
        check_drift({"EndpointName": "e", "EndpointConfigName": "ours"}, {}, "s")
    with pytest.raises(StackFailed, match="serves theirs, the stack says ours"):
        check_drift({"EndpointName": "e", "EndpointConfigName": "theirs"}, OUTPUTS, "s")
