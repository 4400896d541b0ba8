"""ModelRegistryHook: packages found by revision and digest, and metadata that is replaced."""

from datetime import UTC, datetime

import pytest

from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import DIGEST, REVISION
from tests.unit.aws.stubs import stubbed

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/1"
GROUP = "mlops-iris-model"
BASE = {DIGEST: "d1", REVISION: "r1"}


def package(status: str = "PendingManualApproval", **properties) -> dict:
    return {
        "ModelPackageName": GROUP,
        "ModelPackageArn": ARN,
        "CreationTime": datetime(2024, 1, 1, tzinfo=UTC),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "ModelApprovalStatus": status,
        "CustomerMetadataProperties": {**BASE, **properties},
    }


@pytest.fixture
def hook():
    return ModelRegistryHook(aws_conn_id=None, region_name="us-west-2")


def test_a_package_is_found_by_revision_and_digest(hook):
    stub = stubbed(hook, "sagemaker")
    summary = {"ModelPackageArn": ARN, "CreationTime": 0, "ModelPackageStatus": "Completed"}
    stub.add_response("list_model_packages", {"ModelPackageSummaryList": [summary, summary]})
    stub.add_response("describe_model_package", package(**{REVISION: "r2"}))
    stub.add_response("describe_model_package", package())
    assert hook.find_model_package(GROUP, revision_id="r1", digest="d1")["ModelPackageArn"] == ARN


def test_a_missing_group_has_no_packages(hook):
    stubbed(hook, "sagemaker").add_client_error(
        "list_model_packages", "ValidationException", "ModelPackageGroup does not exist."
    )
    assert hook.find_model_package(GROUP, revision_id="r1", digest="d1") is None


def test_a_repeated_test_replaces_what_the_one_before_found(hook):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("describe_model_package", package(**{"test/rmse": "1.5", "metric/a": "1.0"}))
    properties = {**BASE, "metric/a": "1.0", "test/accuracy": "0.96", "test/champion-rule": "a -1 kept"}
    stub.add_response(
        "update_model_package",
        {"ModelPackageArn": ARN},
        {
            "ModelPackageArn": ARN,
            "CustomerMetadataProperties": properties,
            "CustomerMetadataPropertiesToRemove": ["test/rmse"],
        },
    )
    hook.record_test(ARN, {"accuracy": "0.96", "champion-rule": "a >1 kept"}, digest="d1")
    stub.assert_no_pending_responses()
