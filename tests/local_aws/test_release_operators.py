"""A release task by task against the local AWS, and its teardown; the oracle is the call ledger."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
from openlineage.client import OpenLineageClient
from openlineage.client.transport.file import FileConfig, FileTransport

from slipway.aws.sagemaker import Resource, SageMakerHook
from slipway.cleanup.teardown import KEPT, NothingLeftOperator, TeardownOperator
from slipway.deployment.deploy_endpoint import EndpointDeployOperator
from slipway.errors import AlreadyDecided, TrainingFailed, TrainingStopped
from slipway.model.config import ModelConfig
from slipway.plan import TAG_MODEL_PREFIX, ReleasePlan
from slipway.quality.endpoint import EndpointTestOperator
from slipway.quality.evaluate import EvaluateOperator
from slipway.registry.artefact import Artefact, artefact_of
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.register import RegisterModelOperator
from slipway.request.process import process_request
from slipway.source.versions import S3Versions
from slipway.states import Environment
from slipway.stress.operators import ReleaseStressOperator
from slipway.training import orphans
from slipway.training.reaper import reap
from slipway.training.train import SlipwayTrainingOperator
from slipway.training.wait import TrainingJobTrigger
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.release_support import model, upload_data, zip_with
from tests.local_aws.server import ROOT, LocalAws
from tests.unit.request_samples import BUCKET, KEY
from tests.unit.signatures import record_decision, teardown_context
from tests.unit.task_runs import context, first_event, run_task
from tools import bootstrap_stack
from tools.environment import AIRFLOW_CONNECTION
from tools.settings import AIRFLOW_PRINCIPAL

pytestmark = pytest.mark.local_aws


IRIS_ROLES = ("slipway-training-iris-model", "slipway-endpoint-iris-model")


class KilledError(Exception):
    """The task ends here."""


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """A local AWS as the operators' AWS, with the iris data in its bucket; its own, for nothing is to be left in it.

    The operators act as slipway-airflow, as after 'make up'.
    """
    running = LocalAws(tmp_path_factory.mktemp("release") / "state", as_admin=True).start()
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(running.endpoint_url, patch)
        patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", AIRFLOW_CONNECTION)
        assert bootstrap_stack.deploy(running.client, ROOT / "include", AIRFLOW_PRINCIPAL) == []
        upload_data(running)
        yield running
    running.stop()


def begin(aws, data: bytes) -> dict:
    """Upload a zip; the XComs of the tasks before train."""
    version = aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=data)["VersionId"]
    revision = S3Versions().head_version(BUCKET, KEY, version)
    return {"source": revision.to_xcom(), "process_request": process_request(model(), revision).to_xcom()}


def train(xcoms: dict) -> dict:
    return run_task(SlipwayTrainingOperator(task_id="train", model=model()), context(xcoms))


def created(aws, xcoms: dict) -> int:
    """How often the job of a release was created, as the ledger has it."""
    name = xcoms["process_request"]["training_job_name"]
    calls = aws.ledger(operation="CreateTrainingJob", outcome="ok")
    return sum(name in str(call["resource"]) for call in calls)


@pytest.fixture(scope="module")
def release(aws) -> dict:
    """One release up to production; the XComs of all its tasks."""
    xcoms = begin(aws, zip_with())
    xcoms["train"] = train(xcoms)
    for task_id, cls in (("evaluate", EvaluateOperator), ("register", RegisterModelOperator)):
        xcoms[task_id] = run_task(cls(task_id=task_id, model=model()), context(xcoms))
    for environment in Environment:
        if environment is Environment.PRODUCTION:
            approve(xcoms, "alice")
        for kind, cls in (("deploy", EndpointDeployOperator), ("test", EndpointTestOperator)):
            task_id = f"{kind}_{environment.short}"
            xcoms[task_id] = run_task(cls(task_id=task_id, model=model(), environment=environment), context(xcoms))
    return xcoms


def approve(xcoms: dict, who: str, *, approved: bool = True):
    arn, digest = xcoms["register"]["model_package_arn"], xcoms["process_request"]["digest"]
    return record_decision(arn, digest, approved=approved, by=who)


def test_a_release_reaches_production(release):
    for task_id in ("test_dev", "test_prd"):
        assert release[task_id]["accuracy"] >= 0.93
        assert release[task_id]["variants"] == {"model-a": 50}


def test_nothing_of_a_release_is_denied_to_its_roles(aws, release):
    assert [call for call in aws.ledger() if "denied" in call] == []
    callers = {call["caller"].partition(":assumed-role/")[2].partition("/")[0] for call in aws.ledger(outcome="ok")}
    assert callers >= {"slipway-airflow", "slipway-cloudformation", *IRIS_ROLES}


def test_whatever_a_release_makes_carries_the_models_tag(aws, release):
    sagemaker, region = aws.client("sagemaker"), "arn:aws:sagemaker:us-west-2:123456789012"
    made = [f"{region}:training-job/{release['train']['training_job_name']}"]
    made.append(f"{region}:model-package-group/mlops-iris-model")
    for environment in Environment:
        endpoint = sagemaker.describe_endpoint(EndpointName=f"iris-model-{environment.value}")
        config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
        model_name = config["ProductionVariants"][0]["ModelName"]
        made += [endpoint["EndpointArn"], config["EndpointConfigArn"]]
        made.append(sagemaker.describe_model(ModelName=model_name)["ModelArn"])
    for arn in made:
        tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
        assert tags[TAG_MODEL_PREFIX] == "iris-model", arn


def test_the_tasks_run_again_start_nothing_again(aws, release):
    assert train(release) == release["train"]
    assert created(aws, release) == 1
    register = RegisterModelOperator(task_id="register", model=model())
    assert run_task(register, context(release)) == release["register"]
    assert len(aws.ledger(operation="CreateModelPackage", outcome="ok")) == 1


def test_the_first_decision_stands(aws, release):
    written = len(aws.ledger(operation="UpdateModelPackage", outcome="ok"))
    assert written
    with pytest.raises(AlreadyDecided, match="alice decided Approved"):
        approve(release, "carol", approved=False)
    assert len(aws.ledger(operation="UpdateModelPackage", outcome="ok")) == written


def test_what_is_tested_is_what_was_registered_whatever_train_has_said(release):
    other = {**release, "train": {**release["train"], "model_data_url": f"s3://{BUCKET}/another/model.tar.gz"}}
    test_dev = EndpointTestOperator(task_id="test_dev", model=model(), environment=Environment.DEVELOPMENT)
    assert run_task(test_dev, context(other))["accuracy"] == release["test_dev"]["accuracy"]


def test_the_registered_model_is_a_copy_with_its_bytes_on_record(aws, release):
    package = ModelRegistryHook().describe_model_package(release["register"]["model_package_arn"])
    recorded, plan = artefact_of(package), release["process_request"]
    assert recorded.uri == f"s3://{BUCKET}/releases/iris-model/{plan['revision_id']}/model.tar.gz"
    copy = aws.client("s3").get_object(Bucket=BUCKET, Key=recorded.place[1])
    data = copy["Body"].read()
    assert recorded == Artefact(
        recorded.uri, len(data), copy["ETag"].strip('"'), copy["VersionId"], hashlib.sha256(data).hexdigest()
    )
    # AWS keeps the ETag as well; nothing of CreateModel pins a version.
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ModelPackageContainerDefinition.html
    assert package["InferenceSpecification"]["Containers"][0]["ModelDataETag"] == recorded.etag


def test_a_zip_does_not_forge_the_metric_of_its_gate(aws, release):
    job = aws.client("sagemaker").describe_training_job(TrainingJobName=release["train"]["training_job_name"])
    # SageMaker adds a built-in algorithm's own, which read the lines of its evaluations only.
    definitions = {one["Name"]: one["Regex"] for one in job["AlgorithmSpecification"]["MetricDefinitions"]}
    assert definitions["validation:merror"].startswith(r"^\[[0-9]+\].*#011validation-merror")
    assert release["train"]["metrics"]["validation:merror"] > 0


def test_the_development_endpoint_is_loaded_where_the_model_file_asks_for_it(aws, release):
    stress = {"allowed": True, "before_production": True, "slo": {"min_accuracy": 0.9}}
    load = {"stages": [{"concurrency": 2, "requests": 50}], "watch_seconds": 0}
    loaded = ModelConfig.model_validate(model().model_dump() | {"stress": stress | load})
    before = len(aws.ledger(operation="InvokeEndpoint", resource="iris-model-development"))
    found = run_task(ReleaseStressOperator(task_id="stress_dev", model=loaded), context(release))
    assert (found["sent"], found["answered"], found["passed"], found["variants"]) == (50, 50, True, {"model-a": 50})
    assert len(aws.ledger(operation="InvokeEndpoint", resource="iris-model-development")) == before + 50
    report = found["report"].removeprefix(f"s3://{BUCKET}/")
    assert aws.client("s3").head_object(Bucket=BUCKET, Key=report)["ContentType"].startswith("text/html")


def test_a_bad_hyperparameter_fails_with_sagemakers_reason(aws):
    xcoms = begin(aws, zip_with(num_class="1"))
    with pytest.raises(TrainingFailed, match="last lines of its log"):
        train(xcoms)
    assert created(aws, xcoms) == 1


def test_a_stopped_job_says_so_and_is_not_started_again(aws):
    xcoms = begin(aws, zip_with(num_round="100000"))

    def stop_it(trigger):
        assert isinstance(trigger, TrainingJobTrigger)
        SageMakerHook().stop_training_job(trigger.job_name)
        return first_event(trigger)

    operator = SlipwayTrainingOperator(task_id="train", model=model())
    with pytest.raises(TrainingStopped, match="Somebody stopped"):
        run_task(operator, context(xcoms), wait=stop_it)
    assert created(aws, xcoms) == 1


def test_the_reaper_stops_an_orphan_and_its_cleared_task_trains_again(aws, monkeypatch):
    monkeypatch.setattr(orphans, "GRACE", timedelta(0))
    xcoms = begin(aws, zip_with(num_round="100000"))
    state = "deferred"
    tasks = SimpleNamespace(task_state=lambda owner: state, run_is_open=lambda owner: True)

    def reap_it(trigger):
        nonlocal state
        if trigger.job_name.endswith("-2"):
            raise KilledError
        assert reap(SageMakerHook(), tasks, "tests") == []
        state = "failed"
        assert reap(SageMakerHook(), tasks, "another Airflow") == []
        assert reap(SageMakerHook(), tasks, "tests") == [trigger.job_name]
        return first_event(trigger)

    operator = SlipwayTrainingOperator(task_id="train", model=model())
    with pytest.raises(KilledError):
        run_task(operator, context(xcoms), wait=reap_it)
    name = xcoms["process_request"]["training_job_name"]
    stopped = aws.ledger(operation="StopTrainingJob", outcome="ok")
    assert [call["resource"].rpartition("/")[2] for call in stopped].count(name) == 1
    assert created(aws, xcoms) == 2
    assert SageMakerHook().stop_training_job(f"{name}-2")


@pytest.mark.parametrize("kind", ["endpoint", "endpoint config", "model"])
def test_what_is_gone_is_no_failure_for_a_role_that_may_delete_only_what_carries_a_tag(aws, kind):
    assert SageMakerHook().delete_resource(Resource(kind, "gone", "arn")) is False


def test_its_lineage_goes_from_the_data_to_the_endpoint(aws, release, tmp_path):
    """What Airflow's OpenLineage provider writes of each task, by its file transport."""
    written = tmp_path / "lineage.jsonl"
    adapter = OpenLineageAdapter(OpenLineageClient(transport=FileTransport(FileConfig(str(written), append=True))))
    tasks = (
        SlipwayTrainingOperator(task_id="train", model=model()),
        RegisterModelOperator(task_id="register", model=model()),
        EndpointDeployOperator(task_id="deploy_prd", model=model(), environment=Environment.PRODUCTION),
    )
    for task in tasks:
        assert DefaultExtractor(task).extract_on_complete(None) is None
        run_task(task, context(release))
        told = DefaultExtractor(task).extract_on_complete(None)
        job, now = f"iris-model.{task.task_id}", datetime.now(UTC).isoformat()
        adapter.complete_task(str(uuid4()), job, now, told, *[None] * 5)
    trained, registered, deployed = map(json.loads, written.read_text().splitlines())
    account, plan = "arn:aws:sagemaker:us-west-2:123456789012", release["process_request"]
    artefact = release["train"]["model_data_url"].removeprefix(f"s3://{BUCKET}/")
    package = "model-package/mlops-iris-model/1"
    assert named(trained["inputs"]) == [
        (f"s3://{BUCKET}", KEY, release["source"]["version_id"]),
        (f"s3://{BUCKET}", "iris-model/input/train", None),
        (f"s3://{BUCKET}", "iris-model/input/validation", None),
    ]
    assert trained["run"]["facets"]["externalQuery"]["externalQueryId"] == release["train"]["training_job_arn"]
    assert named(trained["outputs"]) == named(registered["inputs"]) == [(f"s3://{BUCKET}", artefact, None)]
    kept, made = named(registered["outputs"])
    record = artefact_of(ModelRegistryHook().find_model_package(ReleasePlan.from_xcom(plan)))
    assert kept == (f"s3://{BUCKET}", record.uri.removeprefix(f"s3://{BUCKET}/"), record.version_id)
    assert [made] == named(deployed["inputs"]) == [(account, package, "1")]
    assert named(deployed["outputs"]) == [(account, "endpoint/iris-model-production", plan["revision_id"])]
    assert "max_depth" not in written.read_text()


def named(datasets: list[dict]) -> list[tuple]:
    return [(one["namespace"], one["name"], one["facets"].get("version", {}).get("datasetVersion")) for one in datasets]


def test_teardown_leaves_nothing_but_the_record_and_what_is_in_s3(aws, release):
    form, sagemaker = teardown_context("iris-model"), aws.client("sagemaker")
    packages = sagemaker.list_model_packages(ModelPackageGroupName="mlops-iris-model")["ModelPackageSummaryList"]
    assert run_task(TeardownOperator(task_id="remove"), form).keys() == {"stack"}
    assert run_task(NothingLeftOperator(task_id="nothing_left"), form) == []
    assert aws.ledger(operation="DeleteModelPackage") == aws.ledger(operation="DeleteModelPackageGroup") == []
    left = sagemaker.list_model_packages(ModelPackageGroupName="mlops-iris-model")["ModelPackageSummaryList"]
    assert left == packages
    kept = "\n".join(form["ti"].pushed[KEPT])
    assert f"mlops-iris-model (model packages up to version {len(packages)})" in kept
    assert f"aws s3 rm s3://{BUCKET}/{KEY}" in kept
    assert f"aws s3 rm --recursive s3://{BUCKET}/releases/iris-model/" in kept
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_models()["Models"] == []
    assert aws.client("s3").head_object(Bucket=BUCKET, Key=KEY)["LastModified"] < datetime.now(UTC)
    assert run_task(TeardownOperator(task_id="remove"), teardown_context("iris-model")) == {}


def test_a_teardown_with_the_record_removes_the_model_packages_too(aws, release):
    form = teardown_context("iris-model", remove_record=True)
    assert run_task(TeardownOperator(task_id="remove"), form).keys() == {"model package", "model package group"}
    assert run_task(NothingLeftOperator(task_id="nothing_left"), form) == []
    assert aws.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"] == []
