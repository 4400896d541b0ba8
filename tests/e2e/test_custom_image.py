"""The lab's random forest: from the source of its image to production, through a real Airflow and the local AWS."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import dataclass
from typing import Any

import joblib
import pytest

from demo import datasets, upload
from demo.examples import FOREST
from tests.conftest import ROOT
from tests.e2e.command import Person

pytestmark = pytest.mark.e2e

DAG = f"image_build-{FOREST.prefix}"


@dataclass(frozen=True)
class Released:
    """A release that is in production, and the build of its image, as the command line has told of it."""

    build: dict[str, Any]
    run_id: str
    record: dict[str, Any]
    screen: dict[str, Any]


@pytest.fixture(scope="module")
def released(slipway, tmp_path_factory) -> Released:
    shutil.copy(ROOT / "include" / "models" / f"{FOREST.prefix}.yaml", slipway.include / "models")
    slipway.wait_dag(FOREST.prefix)
    slipway.wait("the DAG of builds", lambda: DAG in slipway.api().dag_ids())
    alice = Person(slipway, "alice", tmp_path_factory.mktemp("alice"))
    said = alice("build", str(FOREST.container), "--model", FOREST.prefix, "--json")
    assert said.code == 0, said
    upload.upload_data(slipway.settings, FOREST.prefix, FOREST.dataset)
    run_id = slipway.release(FOREST.prefix, FOREST.zip(slipway.settings.bucket))
    screen = slipway.wait_approval(FOREST.prefix, run_id)
    slipway.api("alice").answer(FOREST.prefix, run_id, "approve", "Approve")
    assert slipway.wait_end(FOREST.prefix, run_id) == "success", slipway.story(FOREST.prefix, run_id)
    record = slipway.api().xcom(DAG, said.json["run_id"], "record")
    return Released(said.json, run_id, record, screen)


def test_the_command_ends_with_the_image_of_the_build_that_it_has_started(released):
    assert (released.build["model"], released.build["state"]) == (FOREST.prefix, "success")
    assert released.build["image"]["image"] == released.record["image"]


def test_production_answers_as_the_model_itself(slipway, released, tmp_path):
    artefact = slipway.api().xcom(FOREST.prefix, released.run_id, "train")["model_data_url"]
    bucket, _, key = artefact.removeprefix("s3://").partition("/")
    slipway.client("s3").download_file(bucket, key, str(tmp_path / "model.tar.gz"))
    with tarfile.open(tmp_path / "model.tar.gz") as archive, archive.extractfile("model.joblib") as member:
        forest = joblib.load(member)
    rows = datasets.load(FOREST.dataset).held_out
    features, labels = [row[1:] for row in rows], [row[0] for row in rows]
    for environment in ("development", "production"):
        answers = slipway.ask(f"{FOREST.prefix}-{environment}", FOREST.dataset)
        assert (answers.rows, answers.accuracy) == (len(labels), forest.score(features, labels))


def test_training_registry_and_production_name_one_digest(slipway, released):
    image = released.record["image"]
    api, sagemaker = slipway.api(), slipway.client("sagemaker")
    assert api.xcom(FOREST.prefix, released.run_id, "process_request")["image"]["uri"] == image
    assert api.xcom(FOREST.prefix, released.run_id, "train")["image"] == image
    arn = api.xcom(FOREST.prefix, released.run_id, "register")["model_package_arn"]
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["InferenceSpecification"]["Containers"][0]["Image"] == image
    config = sagemaker.describe_endpoint_config(
        EndpointConfigName=slipway.endpoint_config(f"{FOREST.prefix}-production")
    )
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    assert model["PrimaryContainer"]["Image"] == image


def test_the_approver_saw_the_image_and_what_it_was_built_from(released):
    body = released.screen["body"]
    assert released.record["image"] in body
    assert released.record["source_version"] in body
    assert "validation:accuracy" in body
