"""TrialRecordHook: one verdict stands, until it has left both variants in place."""

import pytest

from slipway.errors import NotApproved
from slipway.registry.metadata import DIGEST
from slipway.states import TrialOutcome, TrialVerdict
from slipway.trial.figures import TrialComparison, VariantFigures
from slipway.trial.record import TrialRecord, TrialRecordHook, outcome_properties, verdict_properties
from tests.unit.aws.stubs import stubbed

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/1"
FIGURES = TrialComparison(VariantFigures(9), VariantFigures(8), "then", "now")
PROMOTE = TrialRecord(TrialVerdict.PROMOTE, "alice", "2026-05-02T08:00:00+00:00", "Airflow", "good")
KEEP = TrialRecord(TrialVerdict.KEEP, "rule", "2026-05-02T07:00:00+00:00", "rule", "too few")


@pytest.fixture
def hook():
    return TrialRecordHook(aws_conn_id=None, region_name="us-west-2")


def package(**properties: str) -> dict:
    return {
        "ModelPackageName": "x",
        "ModelPackageArn": ARN,
        "CreationTime": 0,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "CustomerMetadataProperties": {DIGEST: "d", "metric/m": "1", **properties},
    }


def test_a_verdict_is_recorded_beside_what_is_there(hook):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("describe_model_package", package())
    written = {DIGEST: "d", "metric/m": "1", **verdict_properties(PROMOTE, FIGURES)}
    asked = {"ModelPackageArn": ARN, "CustomerMetadataProperties": written}
    stub.add_response("update_model_package", {"ModelPackageArn": ARN}, asked)
    assert hook.record_verdict(ARN, PROMOTE, FIGURES, digest="d") == PROMOTE
    stub.assert_no_pending_responses()


def test_a_verdict_that_stands_is_not_overwritten(hook):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("describe_model_package", package(**verdict_properties(KEEP, FIGURES)))
    assert hook.record_verdict(ARN, PROMOTE, FIGURES, digest="d") == KEEP
    stub.assert_no_pending_responses()


def test_a_verdict_follows_one_that_was_carried_out_and_changed_nothing(hook):
    stub = stubbed(hook, "sagemaker")
    former = verdict_properties(KEEP, FIGURES) | outcome_properties(TrialOutcome.KEPT, "")
    stub.add_response("describe_model_package", package(**former))
    asked = {
        "ModelPackageArn": ARN,
        "CustomerMetadataProperties": {DIGEST: "d", "metric/m": "1", **verdict_properties(PROMOTE, FIGURES)},
        "CustomerMetadataPropertiesToRemove": ["slipway-trial-outcome"],
    }
    stub.add_response("update_model_package", {"ModelPackageArn": ARN}, asked)
    assert hook.record_verdict(ARN, PROMOTE, FIGURES, digest="d") == PROMOTE
    stub.assert_no_pending_responses()


def test_an_outcome_is_recorded(hook):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("describe_model_package", package())
    written = {DIGEST: "d", "metric/m": "1", "slipway-trial-outcome": "sent back: 9 errors"}
    asked = {"ModelPackageArn": ARN, "CustomerMetadataProperties": written}
    stub.add_response("update_model_package", {"ModelPackageArn": ARN}, asked)
    hook.record_outcome(ARN, TrialOutcome.SENT_BACK, "9 errors", digest="d")
    stub.assert_no_pending_responses()


def test_a_package_of_another_zip_takes_no_record(hook):
    stubbed(hook, "sagemaker").add_response("describe_model_package", package())
    with pytest.raises(NotApproved, match="another model"):
        hook.trial_record(ARN, "other")


def test_the_package_of_an_artefact_is_found(hook):
    stub = stubbed(hook, "sagemaker")
    listed = [
        {"ModelPackageArn": ARN, "ModelPackageName": "x", "CreationTime": 0, "ModelPackageStatus": "Completed"},
    ]
    containers = {"Containers": [{"Image": "i", "ModelDataUrl": "s3://b/m"}]}
    for url in ("s3://b/m", "s3://b/other"):
        stub.add_response("list_model_packages", {"ModelPackageSummaryList": listed})
        stub.add_response("describe_model_package", package() | {"InferenceSpecification": containers})
        found = hook.package_of_artefact("mlops-iris-model", url)
        assert (found["ModelPackageArn"] if found else None) == (ARN if url == "s3://b/m" else None)
