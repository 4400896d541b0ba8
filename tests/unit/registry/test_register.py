"""Registration: one pending package per release."""

import json
import math
from dataclasses import replace

import boto3
import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from local_aws.framework.validation import Validator
from slipway.deployment.history import BEFORE, COLLECTED, ROLLED_BACK
from slipway.model.approval_rules import ONLY_STAGE, Approval
from slipway.model.approval_settings import MAX_APPROVALS
from slipway.model.config import ModelConfig
from slipway.model.serving import Champion
from slipway.quality.champion import compare
from slipway.quality.scoring import Prediction, Score
from slipway.registry.artefact import artefact_of, data_url
from slipway.registry.metadata import TEST_PREFIX, metrics_of
from slipway.registry.record import LATE_ANSWER, Decision, decision_properties
from slipway.registry.register import RegisterModelOperator, package_parameters
from slipway.states import ModelApprovalStatus, TrialOutcome, TrialVerdict
from slipway.trial.figures import TrialComparison, VariantFigures
from slipway.trial.record import TrialRecord, outcome_properties, verdict_properties
from tests.unit.releases import ARTEFACT, DIGEST, TRAINED, release_plan, xcoms
from tests.unit.request_samples import BUCKET, DictStore, iris_model
from tests.unit.task_runs import context

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/3"


class Registry:
    def __init__(self):
        self.packages: list[dict] = []
        self.groups: list[str] = []

    def ensure_model_package_group(self, group, *, description, tags):
        self.groups.append((group, tags))

    def find_model_package(self, plan):
        wanted = {"slipway-revision": plan.revision_id, "slipway-digest": plan.digest}
        for package in self.packages:
            if package["CustomerMetadataProperties"].items() >= wanted.items():
                return {**package, "ModelPackageArn": ARN}
        return None

    def create_model_package(self, parameters):
        self.packages.append(parameters)
        return ARN


class Store(DictStore):
    """A bucket in which every copy is the artefact of the tests."""

    def keep(self, source_uri, bucket, key, *, kms_key=None):
        self.calls.append((source_uri, bucket, key, kms_key))
        return replace(ARTEFACT, uri=f"s3://{bucket}/{key}")


@pytest.fixture(autouse=True)
def artefacts(monkeypatch):
    """The bucket of a test keeps artefacts itself."""
    monkeypatch.setattr("slipway.registry.register.S3Artefacts", lambda bucket: bucket)


def operator(**policy) -> RegisterModelOperator:
    content = iris_model().model_dump()
    content["policy"] |= policy
    made = RegisterModelOperator(task_id="register", model=ModelConfig.model_validate(content))
    made.registry, made.s3 = Registry(), Store()
    return made


def test_registers_once_however_often_it_runs():
    register = operator()
    for _ in range(2):
        assert register.execute(context(xcoms())) == {"model_package_arn": ARN, "version": 3}
    assert len(register.registry.packages) == 1
    # Nor is the artefact copied a second time.
    assert len([call for call in register.s3.calls if isinstance(call, tuple)]) == 1
    assert register.registry.groups[0] == ("mlops-iris-model", {"slipway:model-prefix": "iris-model"})


def test_the_metrics_lie_beside_the_request():
    register = operator()
    register.execute(context(xcoms()))
    [(bucket, key, _)] = register.s3.objects
    assert (bucket, key) == (BUCKET, f"releases/iris-model/{release_plan().revision_id}/metrics.json")


def test_a_metric_that_is_no_number_is_kept_as_such():
    register = operator()
    register.execute(context(xcoms(train={**TRAINED, "metrics": {"validation:auc": "NaN", "a": 0.5}})))
    [written] = register.s3.objects.values()
    assert json.loads(written, parse_constant=pytest.fail) == {"validation:auc": "NaN", "a": 0.5}
    assert math.isnan(metrics_of(register.registry.packages[0])["validation:auc"])


def test_what_is_kept_of_an_upload_from_another_bucket_is_in_the_models_own():
    register, plan = operator(), release_plan()
    plan = replace(plan, revision=replace(plan.revision, bucket="uploads-of-another-team"))
    register.execute(context(xcoms(process_request=plan.to_xcom())))
    assert {bucket for bucket, _, _ in register.s3.objects} == {BUCKET}
    quality = register.registry.packages[0]["ModelMetrics"]["ModelQuality"]
    assert quality["Statistics"]["S3Uri"].startswith(f"s3://{BUCKET}/releases/iris-model/")


def test_the_package_says_what_it_is_and_waits_for_a_person():
    parameters = package_parameters(
        release_plan(),
        TRAINED,
        ARTEFACT,
        "s3://bucket/metrics.json",
        dag_id="iris-model",
        run_id="manual__2024-01-01T00:00:00+00:00",
    )
    assert parameters["ModelApprovalStatus"] == "PendingManualApproval"
    assert parameters["InferenceSpecification"]["Containers"] == [
        {"Image": TRAINED["image"], "ModelDataUrl": ARTEFACT.uri, "ModelDataETag": ARTEFACT.etag}
    ]
    assert artefact_of(parameters) == ARTEFACT
    properties = parameters["CustomerMetadataProperties"]
    assert properties["slipway-digest"] == DIGEST
    assert properties["slipway-version-id"] == "v1"
    assert properties["slipway-run"].endswith("/dags/iris-model/runs/manual__2024-01-01T00:00:00+00:00")
    assert properties["metric/validation:merror"] == "0.04"


@pytest.mark.parametrize("kms_key", [None, "alias/slipway"])
def test_the_package_is_of_the_releases_own_copy(kms_key):
    register = operator(kms_key=kms_key)
    register.execute(context(xcoms()))
    key = f"releases/iris-model/{release_plan().revision_id}/model.tar.gz"
    assert (TRAINED["model_data_url"], BUCKET, key, kms_key) in register.s3.calls
    assert data_url(register.registry.packages[0]) == f"s3://{BUCKET}/{key}"


def test_the_request_is_one_that_aws_takes():
    parameters = package_parameters(
        release_plan(), TRAINED, ARTEFACT, "s3://bucket/metrics.json", dag_id="d", run_id="r"
    )
    shape = boto3.client("sagemaker", region_name="us-west-2").meta.service_model.operation_model("CreateModelPackage")
    assert not ParamValidator().validate(parameters, shape.input_shape).has_errors()


def test_metrics_with_a_gate_have_a_place_before_all_others():
    register = operator()
    gated = register.model.gates[0].metric
    many = {f"validation:metric-{number}": 0.5 for number in range(60)} | {gated: 0.04}
    register.execute(context(xcoms(train={**TRAINED, "metrics": many})))
    [package] = register.registry.packages
    kept = [name for name in package["CustomerMetadataProperties"] if name.startswith("metric/")]
    assert kept == [f"metric/{gated}", *(f"metric/validation:metric-{number}" for number in range(11))]


@pytest.mark.parametrize("name", ["error (%)", "größe", "a~b", "a=b"])
def test_a_metric_of_any_name_is_kept_and_read_back(name):
    parameters = parameters_with({name: 0.5, "validation:merror": 0.04, "x" * 200: 1.0})
    # A name that has no key is in the file only; the training job is paid for.
    assert metrics_of(parameters) == {name: 0.5, "validation:merror": 0.04}
    validator = Validator()
    shape = get_session().get_service_model("sagemaker").operation_model("CreateModelPackage").input_shape
    validator.check(shape, parameters)
    assert validator.failures == []


def parameters_with(metrics: dict[str, float]) -> dict:
    trained = {**TRAINED, "metrics": metrics}
    return package_parameters(release_plan(), trained, ARTEFACT, "s3://b/metrics.json", dag_id="d", run_id="by~hand")


def test_all_that_is_ever_written_on_a_package_fits_beside_the_metrics():
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html: 50 entries at most."""
    trained = {**TRAINED, "metrics": {f"validation:metric-{number}": 0.5 for number in range(60)}}
    registered = package_parameters(
        release_plan(), trained, ARTEFACT, "s3://bucket/metrics.json", dag_id="d", run_id="r"
    )
    approvals = (Approval(by="alice", at="then", how="Airflow", stage=ONLY_STAGE),) * MAX_APPROVALS
    decision = Decision(ModelApprovalStatus.APPROVED, "alice", "then", "Airflow", approvals=approvals)
    score = Score([Prediction("0", "0", "model-a", 1.0)])
    tested = compare(Champion(not_worse_than=0.1), score, score, regression=False).record()
    figures = TrialComparison(VariantFigures(), VariantFigures(), "then", "now")
    written = {
        *registered["CustomerMetadataProperties"],
        *decision_properties(decision),
        LATE_ANSWER,
        *(TEST_PREFIX + name for name in tested),
        *verdict_properties(TrialRecord(TrialVerdict.PROMOTE), figures),
        *outcome_properties(TrialOutcome.PROMOTED, ""),
        BEFORE,
        ROLLED_BACK,
        COLLECTED,
    }
    assert len(written) == 50
