"""DecisionRecordHook: decisions recorded once."""

from contextlib import nullcontext
from datetime import UTC, datetime

import pytest

from slipway.errors import AlreadyDecided, NotApproved
from slipway.registry.decisions import DecisionRecordHook
from slipway.registry.record import HOW_OUTSIDE, Candidate, approval_properties, decision_of
from slipway.states import ModelApprovalStatus
from tests.unit.aws.stubs import stubbed
from tests.unit.registry.test_hook import ARN, BASE, package
from tests.unit.signatures import signed_approval


def decided(status: str, who: str) -> dict:
    properties = {
        "slipway-decision": status,
        "slipway-decided-by": who,
        "slipway-decided-at": "t",
        "slipway-decided-how": "UI",
    }
    return package(status, **properties)


@pytest.fixture
def hook():
    return DecisionRecordHook(aws_conn_id=None, region_name="us-west-2")


def record(hook, *, approved=True, who="alice", digest="d1"):
    return hook.record_decision(ARN, approved=approved, decided_by=who, how="UI", comment="fine\nby me", digest=digest)


def test_a_decision_is_written_once_with_name_and_comment(
    hook,
):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("describe_model_package", package())
    stub.add_response("update_model_package", {"ModelPackageArn": ARN})
    stub.add_response("describe_model_package", decided("Approved", "alice"))
    requests = []
    hook.conn.meta.events.register(
        "before-parameter-build.sagemaker.UpdateModelPackage", lambda params, **_: requests.append(params)
    )

    assert record(hook).decided_by == "alice"
    assert requests[0]["ModelApprovalStatus"] == "Approved"
    assert requests[0]["ApprovalDescription"] == "fine by me"
    assert requests[0]["CustomerMetadataProperties"].items() >= {**BASE, "slipway-decided-by": "alice"}.items()
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(("given", "kept"), [(None, True), ((), False)])
def test_approvals_on_record_stay_unless_a_decision_comes_with_others(hook, given, kept):
    first = signed_approval(Candidate.of(package()), "alice", at="2026-05-02T08:00:00+00:00")
    requests = []
    stub = stubbed(hook, "sagemaker")
    stub.add_response("describe_model_package", package(**approval_properties([first])))
    stub.add_response("update_model_package", {"ModelPackageArn": ARN})
    stub.add_response("describe_model_package", decided("Rejected", "slipway"))
    hook.conn.meta.events.register(
        "before-parameter-build.sagemaker.UpdateModelPackage", lambda params, **_: requests.append(params)
    )
    hook.record_decision(
        ARN, approved=False, decided_by="slipway", how="superseded", comment="", digest="d1", approvals=given
    )
    written = requests[0]["CustomerMetadataProperties"]
    assert (approval_properties([first]).items() <= written.items()) is kept


def test_the_same_decision_again_writes_nothing(hook):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("describe_model_package", decided("Approved", "alice"))
    assert record(hook).approved
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(("approved", "who"), [(False, "alice"), (True, "carol"), (False, "carol")])
def test_a_second_decision_is_told_who_was_first(hook, approved, who):
    stubbed(hook, "sagemaker").add_response("describe_model_package", decided("Approved", "alice"))
    with pytest.raises(AlreadyDecided, match="alice decided Approved"):
        record(hook, approved=approved, who=who)


def test_of_two_in_one_instant_the_loser_is_told(hook):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("describe_model_package", package())
    stub.add_response("update_model_package", {"ModelPackageArn": ARN})
    stub.add_response("describe_model_package", decided("Rejected", "carol"))
    with pytest.raises(AlreadyDecided, match="carol decided Rejected"):
        record(hook)


@pytest.mark.parametrize(("standing", "stands"), [("alice", True), ("carol", False)])
def test_after_a_lost_answer_the_record_is_read_before_it_is_written_again(hook, monkeypatch, standing, stands):
    monkeypatch.setenv("AIRFLOW__SLIPWAY__AWS_PATIENCE_SECONDS", "60")
    stub = stubbed(hook, "sagemaker")
    stub.add_response("describe_model_package", package())
    stub.add_client_error("update_model_package", "InternalFailure", "no answer", http_status_code=500)
    stub.add_response("describe_model_package", decided("Approved", standing))
    with nullcontext() if stands else pytest.raises(AlreadyDecided, match="carol decided Approved"):
        assert record(hook).decided_by == "alice"
    stub.assert_no_pending_responses()


def test_a_decision_for_another_digest_is_refused(hook):
    stubbed(hook, "sagemaker").add_response("describe_model_package", package())
    with pytest.raises(NotApproved, match=r"digest d1.*of d2"):
        record(hook, digest="d2")


def test_a_decision_without_a_package_is_refused(hook):
    stubbed(hook, "sagemaker").add_client_error(
        "describe_model_package", "ValidationException", f"ModelPackage {ARN} does not exist."
    )
    with pytest.raises(NotApproved):
        record(hook)


def test_a_decision_made_in_sagemaker_names_its_user():
    outside = {
        **package("Approved"),
        "LastModifiedBy": {"UserProfileName": "dana"},
        "LastModifiedTime": datetime(2024, 1, 2, tzinfo=UTC),
    }
    decision = decision_of(outside)
    assert (decision.decided_by, decision.how, decision.approved) == ("dana", "SageMaker", True)


def test_the_status_counts_more_than_properties_that_contradict_it():
    forged = {**decided("Approved", "mallory"), "ModelApprovalStatus": "Rejected"}
    assert decision_of(forged).decision is ModelApprovalStatus.REJECTED
    assert decision_of({**forged, "ModelApprovalStatus": "PendingManualApproval"}) is None


def test_a_decision_from_outside_is_written_down_with_its_name(hook):
    stub = stubbed(hook, "sagemaker")
    outside = {**package("Approved"), "LastModifiedBy": {"UserProfileName": "erin"}}
    stub.add_response("describe_model_package", outside)
    stub.add_response("update_model_package", {"ModelPackageArn": ARN})
    requests = []
    hook.conn.meta.events.register(
        "before-parameter-build.sagemaker.UpdateModelPackage", lambda params, **_: requests.append(params)
    )
    kept = hook.keep_outside_decision(ARN, "d1")
    (request,) = requests
    assert "ModelApprovalStatus" not in request
    written = decision_of({**outside, "LastModifiedBy": {}, **request})
    assert written == kept
    assert (kept.decided_by, kept.how) == ("erin", HOW_OUTSIDE)
    stub.assert_no_pending_responses()


@pytest.mark.parametrize("standing", [package(), decided("Rejected", "alice")])
def test_what_is_pending_or_recorded_is_left_alone(hook, standing):
    stubbed(hook, "sagemaker").add_response("describe_model_package", standing)
    assert hook.keep_outside_decision(ARN, "d1") == decision_of(standing)
