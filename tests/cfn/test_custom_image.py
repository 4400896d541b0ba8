"""Releases with an image of the model's own: one digest from training to production, and what is gone stops them."""

import zipfile

import pytest

from demo.examples import FOREST
from slipway.deployment.deploy_endpoint import EndpointDeployOperator
from slipway.deployment.roll_back import RollBackOperator
from slipway.errors import ImageMissing, RollBackRefused
from slipway.model.config import ModelConfig
from slipway.model.files import load_model
from slipway.plan import ReleasePlan
from slipway.registry.register import RegisterModelOperator
from slipway.request.process import process_request
from slipway.signed.orders import Act
from slipway.source.versions import S3Versions
from slipway.states import Environment
from slipway.training.train import SlipwayTrainingOperator
from tests.cfn.life_models import real_account
from tests.faults.image_builds import tasks, upload
from tests.local_aws.server import ROOT
from tests.unit.request_samples import BUCKET, zip_of
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import record_decision, signed_order
from tests.unit.task_runs import context, run_task

pytestmark = pytest.mark.local_aws

REPOSITORY = "mlops-iris-forest"
DEV, PRD = Environment.DEVELOPMENT, Environment.PRODUCTION
STACK = "mlops-deploy-iris-forest-prd"
DOCKERFILE = "FROM python:3.11-slim\nCOPY train serve /opt/program/\nENV PATH=/opt/program:$PATH\n"
TRAIN = """#!/usr/bin/env python3
from pathlib import Path
Path("/opt/ml/model/class").write_text("ANSWER")
print("validation-accuracy=1.0")
"""
SERVE = """#!/usr/bin/env python3
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(Path("/opt/ml/model/class").read_bytes())
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
HTTPServer(("0.0.0.0", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def source(answer: str) -> bytes:
    """The source of an image whose models always answer the same."""
    members = {"Dockerfile": DOCKERFILE, "train": TRAIN.replace("ANSWER", answer), "serve": SERVE}
    infos = []
    for name, text in members.items():
        info = zipfile.ZipInfo(name)
        info.external_attr = 0o755 << 16
        infos.append((info, text))
    return zip_of(*infos)


class World:
    """The model, its images and its releases, under the roles of the set-up templates."""

    def __init__(self, aws) -> None:
        self.aws = aws
        content = load_model(ROOT / "include" / "models" / "iris-forest.yaml").model_dump()
        content["timeouts"]["poll_seconds"] = 0.5
        content["image"]["build"]["base_images"] = ["python:3.11-slim"]
        self.config = ModelConfig.model_validate(content)
        self.s3 = aws.client("s3")
        for channel in ("train", "validation"):
            self.s3.put_object(Bucket=BUCKET, Key=f"iris-forest/input/{channel}/rows.csv", Body=b"1,1,2,3,4\n")

    def build(self, answer: str) -> dict:
        """Build an image; what its record says in short."""
        version = upload(self.aws, source(answer))
        xcoms: dict = {}
        for task_id, made in tasks(self.config).items():
            run = context(xcoms, run_id=f"s3__{version}") | {"task_state_store": MemoryStore()}
            run["dag_run"].conf = {"version_id": version}
            xcoms[task_id] = run_task(made(), run)
        return xcoms["record"]

    def release(self) -> "Release":
        """Upload the zip, train and register."""
        body = FOREST.zip(BUCKET)
        key = self.config.source.key
        version = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"]
        found = S3Versions(aws_conn_id=None).head_version(BUCKET, key, version)
        return Release(self, process_request(self.config, found))

    def production(self) -> dict[str, str]:
        """The parameters of production's stack."""
        return {one["ParameterKey"]: one["ParameterValue"] for one in self.aws.stack(STACK)["Parameters"]}

    def answer(self, environment: Environment) -> str:
        runtime = self.aws.client("sagemaker-runtime")
        name = f"iris-forest-{environment.value}"
        said = runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body="1,2,3,4")
        return said["Body"].read().decode()

    def remove(self, record: dict) -> None:
        """Somebody deletes an image."""
        ids = [{"imageDigest": record["digest"]}]
        self.aws.client("ecr").batch_delete_image(repositoryName=REPOSITORY, imageIds=ids)


class Release:
    """One release, task by task."""

    def __init__(self, world: World, plan: ReleasePlan) -> None:
        self.world, self.plan = world, plan
        self.xcoms = {"process_request": plan.to_xcom()}
        self.run("train", SlipwayTrainingOperator)
        self.run("register", RegisterModelOperator)
        self.arn = self.xcoms["register"]["model_package_arn"]

    def run(self, task_id: str, operator: type, **arguments: object) -> None:
        made = operator(task_id=task_id, model=self.world.config, do_xcom_push=False, **arguments)
        run = context(self.xcoms, run_id=f"s3__{self.plan.revision_id}") | {"task_state_store": MemoryStore()}
        self.xcoms[task_id] = run_task(made, run)

    def deploy(self, environment: Environment) -> "Release":
        if environment is PRD:
            record_decision(self.arn, self.plan.digest, approved=True)
        self.run(f"deploy_{environment.short}", EndpointDeployOperator, environment=environment)
        return self


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with real_account(tmp_path_factory.mktemp("image") / "state") as (aws, _):
        yield World(aws)


@pytest.fixture(scope="module")
def first(world):
    record = world.build("1")
    return record, world.release().deploy(DEV).deploy(PRD)


@pytest.fixture(scope="module")
def second(world, first):
    record = world.build("2")
    return record, world.release().deploy(PRD)


def test_one_digest_trains_is_registered_and_serves(world, first):
    record, release = first
    assert release.plan.image.uri == record["image"]
    assert release.plan.image.tag == record["tag"]
    assert record["source_version"] in release.plan.image.source
    sagemaker = world.aws.client("sagemaker")
    job = sagemaker.describe_training_job(TrainingJobName=release.plan.training_job_name)
    package = sagemaker.describe_model_package(ModelPackageName=release.arn)
    assert job["AlgorithmSpecification"]["TrainingImage"] == record["image"]
    assert package["InferenceSpecification"]["Containers"][0]["Image"] == record["image"]
    for environment in ("dev", "prd"):
        parameters = world.aws.stack(f"mlops-deploy-iris-forest-{environment}")["Parameters"]
        assert {"ParameterKey": "ModelAImage", "ParameterValue": record["image"]} in parameters
    assert (world.answer(DEV), world.answer(PRD)) == ("1", "1")


def test_the_same_zip_with_a_newer_image_is_another_model(world, first, second):
    assert second[1].plan.digest == first[1].plan.digest
    assert second[0]["image"] != first[0]["image"]
    assert world.production()["ModelBImage"] == second[0]["image"]


def test_a_roll_back_to_a_release_whose_image_is_gone_says_so_and_changes_nothing(world, first, second):
    before = world.production()
    world.remove(first[0])
    run = context({}, run_id="manual__back")
    run["dag_run"].conf = {"roll_back_to": first[1].arn}
    order = signed_order(Act.ROLL_BACK, first[1].arn, by="alice", run_id="manual__back")
    operator = RollBackOperator(task_id="roll_back", model=world.config, do_xcom_push=False)
    with pytest.raises(RollBackRefused, match="The container image is gone"):
        run_task(operator, run | {"task_state_store": MemoryStore(ordered=order)})
    assert world.production() == before


def test_an_image_that_has_gone_stops_a_release_before_production_changes(world, second):
    release, before = world.release(), world.production()
    world.remove(second[0])
    changes = len(world.aws.ledger(operation="CreateChangeSet"))
    with pytest.raises(ImageMissing, match=f"{REPOSITORY} has no image with the digest"):
        release.deploy(PRD)
    assert world.production() == before
    assert len(world.aws.ledger(operation="CreateChangeSet")) == changes
