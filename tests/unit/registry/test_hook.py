"""ModelRegistryHook: packages found by revision and digest, and metadata that is replaced."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from slipway.aws.placeholders import AwsIdentity
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import DIGEST, REVISION
from tests.unit.aws.stubs import stubbed
from tests.unit.releases import release_plan

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
def hook(monkeypatch):
    monkeypatch.setattr("slipway.registry.hook.identity", lambda aws_conn_id: AwsIdentity("123456789012", "us-west-2"))
    return ModelRegistryHook(aws_conn_id=None, region_name="us-west-2")


PLAN = replace(release_plan(), revision_id="r1", digest="d1")


def listed(version: int, description: str | None = None) -> dict:
    arn = f"{ARN.rpartition('/')[0]}/{version}"
    summary = {"ModelPackageArn": arn, "CreationTime": 0, "ModelPackageStatus": "Completed"}
    return summary | ({"ModelPackageDescription": description} if description else {})


def asked(**window) -> dict:
    order = {"SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": 100}
    return {"ModelPackageGroupName": GROUP, **order, **window}


def test_a_package_is_found_by_revision_and_digest_among_those_made_since_the_release_began(hook):
    stub = stubbed(hook, "sagemaker")
    others, ours = listed(3, "Trained by x from s3://b/releases/iris-model/r2/trainingjob.zip"), listed(1)
    window = {"CreationTimeAfter": datetime.fromisoformat(PLAN.sequence) - timedelta(minutes=15)}
    stub.add_response("list_model_packages", {"ModelPackageSummaryList": [others, listed(2), ours]}, asked(**window))
    # The description says that the newest one is another release's: it is not described.
    stub.add_response("describe_model_package", package(**{REVISION: "r2"}), {"ModelPackageName": f"{ARN[:-1]}2"})
    stub.add_response("describe_model_package", package(), {"ModelPackageName": ARN})
    assert hook.find_model_package(PLAN)["ModelPackageArn"] == ARN
    stub.assert_no_pending_responses()


def test_a_missing_group_has_no_packages(hook):
    stubbed(hook, "sagemaker").add_client_error(
        "list_model_packages", "ValidationException", "ModelPackageGroup does not exist."
    )
    assert hook.find_model_package(PLAN) is None


def test_the_package_that_a_task_names_is_read_without_a_list(hook):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("describe_model_package", package(), {"ModelPackageName": ARN})
    assert hook.find_model_package(PLAN, named=ARN)["ModelPackageArn"] == ARN
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    "named",
    [
        ARN.replace("123456789012", "999999999999"),
        ARN.replace("us-west-2", "us-east-1"),
        ARN.replace("mlops-iris-model", "mlops-other"),
        ARN.replace(":model-package/", ":model-package-group/"),
        f"{ARN}/1",
        ARN.rpartition("/")[0],
        "mlops-iris-model",
    ],
)
def test_a_package_of_another_account_or_group_is_not_even_read(hook, named):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("list_model_packages", {"ModelPackageSummaryList": []})
    assert hook.find_model_package(PLAN, named=named) is None
    stub.assert_no_pending_responses()


@pytest.mark.parametrize("other", [{REVISION: "r2"}, {DIGEST: "d2"}])
def test_a_named_package_of_another_release_is_ignored(hook, other):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("describe_model_package", package(**other))
    stub.add_response("list_model_packages", {"ModelPackageSummaryList": [listed(1)]})
    stub.add_response("describe_model_package", package())
    assert hook.find_model_package(PLAN, named=f"{ARN[:-1]}7")["ModelPackageArn"] == ARN
    stub.assert_no_pending_responses()


def test_a_roll_back_looks_at_packages_of_any_age(hook):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("list_model_packages", {"ModelPackageSummaryList": []}, asked())
    assert hook.find_model_package(replace(PLAN, rolled_back_by="alice")) is None
    stub.assert_no_pending_responses()


def test_the_package_of_an_artefact_is_looked_for_from_when_the_artefact_was_written(hook):
    stub, url = stubbed(hook, "sagemaker"), "s3://b/releases/iris-model/r1/model.tar.gz"
    at = datetime(2026, 5, 2, tzinfo=UTC)
    since, described = at - timedelta(minutes=15), "Trained by x from s3://b/releases/iris-model/{}/trainingjob.zip"
    after = asked(CreationTimeAfter=since, SortOrder="Ascending")
    served = package() | {"InferenceSpecification": {"Containers": [{"Image": "i", "ModelDataUrl": url}]}}
    page = [listed(1, described.format("r1")), listed(2, described.format("r2"))]
    stub.add_response("list_model_packages", {"ModelPackageSummaryList": page}, after)
    stub.add_response("describe_model_package", served, {"ModelPackageName": ARN})
    assert hook.package_of_artefact(GROUP, url, written_at=at)["ModelPackageArn"] == ARN
    # An artefact that was overwritten is younger than its package.
    stub.add_response("list_model_packages", {"ModelPackageSummaryList": page[1:]}, after)
    stub.add_response("list_model_packages", {"ModelPackageSummaryList": page[:1]}, asked(CreationTimeBefore=since))
    stub.add_response("describe_model_package", served)
    assert hook.package_of_artefact(GROUP, url, written_at=at)["ModelPackageArn"] == ARN
    stub.assert_no_pending_responses()


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
