"""The approval on record that production needs."""

import pytest

from slipway.errors import NotApproved
from slipway.model.approval_rules import ONLY_STAGE, ApprovalStage, Rules
from slipway.registry.approval_check import check_approved
from slipway.registry.metadata import ARTEFACT_SHA256, DIGEST
from slipway.registry.record import APPROVAL_PREFIX, DECISION, Candidate, approval_properties
from tests.unit.signatures import signed_approval

RULES = Rules((ApprovalStage(ONLY_STAGE, ("alice", "carol"), quorum=2),), allow_uploader=False)
AIRFLOW = "arn:aws:sts::123456789012:assumed-role/slipway-airflow/{}"


def airflow() -> str:
    return AIRFLOW.format("worker-1")


def package(status: str, *approvers: str, how="Airflow", by="carol", recorded=True, **bytes_of: str) -> dict:
    found = {"ModelPackageArn": "arn:p/1", "ModelApprovalStatus": status}
    properties = {DIGEST: "d" * 64, ARTEFACT_SHA256: "a" * 64}
    candidate = Candidate.of({**found, "CustomerMetadataProperties": properties})
    properties |= approval_properties(signed_approval(candidate, who, at="2026") for who in approvers)
    if recorded and status != "PendingManualApproval":
        properties |= {DECISION: status, "slipway-decided-by": by, "slipway-decided-how": how}
    return {**found, "CustomerMetadataProperties": properties | bytes_of}


def decided_outside(by: str | None) -> dict:
    return package("Approved", recorded=False) | {"LastModifiedBy": {"IamIdentity": {"Arn": by}} if by else {}}


def test_enough_approvals_let_it_in():
    assert check_approved(package("Approved", "alice", "carol"), RULES, "dave", airflow).approved


def test_a_decision_made_in_sagemaker_is_iams_to_judge():
    user = "arn:aws:iam::123456789012:user/erin"
    assert check_approved(decided_outside(user), RULES, "alice", airflow).decided_by == user
    assert check_approved(package("Approved", how="SageMaker", by=user), RULES, "alice", airflow).approved


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (AIRFLOW.format("worker-2"), "Airflow itself and no person"),
        ("arn:aws:iam::123456789012:role/service/slipway-airflow", "Airflow itself and no person"),
        (None, "SageMaker does not say who that is"),
    ],
)
def test_a_decision_in_sagemaker_by_airflow_itself_or_nobody_is_none(by, why):
    with pytest.raises(NotApproved, match=why):
        check_approved(decided_outside(by), RULES, None, airflow)


SIGNED = package("Approved", "alice", "carol")["CustomerMetadataProperties"]


@pytest.mark.parametrize(
    "forgery",
    [
        {f"{APPROVAL_PREFIX}1": "2026/approval/Airflow//alice"},
        {f"{APPROVAL_PREFIX}1": "2026/approval/Airflow/alice"},
        {f"{APPROVAL_PREFIX}1": "2026"},
        {f"{APPROVAL_PREFIX}1": "2026/approval/Airflow/" + "A" * 97 + "/alice"},
        # Bob's own signed approval, under another name; and alice's, of another time.
        {f"{APPROVAL_PREFIX}1": SIGNED[f"{APPROVAL_PREFIX}2"].replace("/carol", "/alice")},
        {f"{APPROVAL_PREFIX}1": SIGNED[f"{APPROVAL_PREFIX}1"].replace("2026/", "2027/")},
        # Signed for other bytes.
        {DIGEST: "e" * 64},
        {ARTEFACT_SHA256: "b" * 64},
    ],
)
def test_an_approval_that_the_guard_has_not_signed_counts_for_nothing(forgery):
    with pytest.raises(NotApproved, match=r"must approve; an approval counts only with the signature of Airflow's API"):
        check_approved(package("Approved", "alice", "carol", **forgery), RULES, None, airflow)


def test_an_approval_of_another_package_counts_for_nothing():
    other = package("Approved", "alice", "carol") | {"ModelPackageArn": "arn:p/2"}
    with pytest.raises(NotApproved, match="signature"):
        check_approved(other, RULES, None, airflow)


@pytest.mark.parametrize(
    ("found", "uploader", "why"),
    [
        (package("PendingManualApproval"), None, r"nobody has decided.*alice, carol.*update-model-package"),
        (package("PendingManualApproval", "alice"), None, "alice approved at 2026; that is not enough"),
        (package("Rejected"), None, "carol rejected it"),
        (package("Approved", "alice"), None, "carol must approve.*PendingManualApproval"),
        (package("Approved", "alice", "carol"), "carol", "must approve"),
    ],
)
def test_anything_less_is_refused_with_what_to_do(found, uploader, why):
    with pytest.raises(NotApproved, match=rf"{why}.*Fix|{why}"):
        check_approved(found, RULES, uploader, airflow)
