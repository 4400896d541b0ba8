"""Registration: one pending package per release."""

import boto3
from botocore.validate import ParamValidator

from slipway.operators.model_registry import RegisterModelOperator, package_parameters
from tests.unit.releases import DIGEST, TRAINED, release_plan, xcoms
from tests.unit.request_samples import BUCKET, DictStore, iris_model
from tests.unit.task_runs import context

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/3"


class Registry:
    def __init__(self):
        self.packages: list[dict] = []
        self.groups: list[str] = []

    def ensure_model_package_group(self, group, *, description, tags):
        self.groups.append((group, tags))

    def find_model_package(self, group, *, revision_id, digest):
        wanted = {"slipway-revision": revision_id, "slipway-digest": digest}
        for package in self.packages:
            if package["CustomerMetadataProperties"].items() >= wanted.items():
                return {**package, "ModelPackageArn": ARN}
        return None

    def create_model_package(self, parameters):
        self.packages.append(parameters)
        return ARN


def operator() -> RegisterModelOperator:
    made = RegisterModelOperator(task_id="register", model=iris_model())
    made.registry, made.s3 = Registry(), DictStore()
    return made


def test_registers_once_however_often_it_runs():
    register = operator()
    for _ in range(2):
        assert register.execute(context(xcoms())) == {"model_package_arn": ARN, "version": 3}
    assert len(register.registry.packages) == 1
    assert register.registry.groups[0] == ("mlops-iris-model", {"slipway:model-prefix": "iris-model"})


def test_the_metrics_lie_beside_the_request():
    register = operator()
    register.execute(context(xcoms()))
    [(bucket, key, _)] = register.s3.objects
    assert (bucket, key) == (BUCKET, f"releases/iris-model/{release_plan().revision_id}/metrics.json")


def test_the_package_says_what_it_is_and_waits_for_a_person():
    parameters = package_parameters(
        release_plan(),
        TRAINED,
        "s3://bucket/metrics.json",
        dag_id="iris-model",
        run_id="manual__2024-01-01T00:00:00+00:00",
    )
    assert parameters["ModelApprovalStatus"] == "PendingManualApproval"
    assert parameters["InferenceSpecification"]["Containers"] == [
        {"Image": TRAINED["image"], "ModelDataUrl": TRAINED["model_data_url"]}
    ]
    properties = parameters["CustomerMetadataProperties"]
    assert properties["slipway-digest"] == DIGEST
    assert properties["slipway-version-id"] == "v1"
    assert properties["slipway-run"].endswith("/dags/iris-model/runs/manual__2024-01-01T00:00:00+00:00")
    assert properties["metric/validation:merror"] == "0.04"


def test_the_request_is_one_that_aws_takes():
    parameters = package_parameters(release_plan(), TRAINED, "s3://bucket/metrics.json", dag_id="d", run_id="r")
    shape = boto3.client("sagemaker", region_name="us-west-2").meta.service_model.operation_model("CreateModelPackage")
    assert not ParamValidator().validate(parameters, shape.input_shape).has_errors()
