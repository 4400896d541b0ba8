"""Container images built through a real Airflow, its public API and the local AWS; the ledger says what was started."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from slipway import image_names
from tests.e2e.inbox import subscribed
from tests.unit.image_samples import BASE, DOCKERFILE, KEY, PREFIX, source_zip
from tools.settings import ROOT
from tools.supervisor import Status

pytestmark = pytest.mark.e2e

DAG = f"image_build-{PREFIX}"
REPOSITORY = f"mlops-{PREFIX}"
# Builds for longer than any test waits.
ENDLESS = f"{DOCKERFILE}RUN sleep 3600\n"


def uploaded(slipway, body: bytes) -> str:
    """Upload a source. Returns the run that it has started."""
    answer = slipway.client("s3").put_object(Bucket=slipway.settings.bucket, Key=KEY, Body=body)
    return slipway.run_of(DAG, answer["VersionId"])


def built_by(slipway, run_id: str) -> list[dict[str, Any]]:
    """The builds of the bytes that a run builds."""
    mark = image_names.tag(slipway.api().xcom(DAG, run_id, "check_source")["digest"])
    client = slipway.client("codebuild")
    ids = client.list_builds_for_project(projectName=f"mlops-buildimage-{PREFIX}")["ids"]
    return [
        build
        for build in (client.batch_get_builds(ids=ids)["builds"] if ids else [])
        for variable in build["environment"]["environmentVariables"]
        if variable["name"] == "SLIPWAY_BUILD" and variable["value"].startswith(mark)
    ]


def running(slipway, run_id: str) -> dict[str, Any]:
    """Wait until the build of a run works. Returns it."""
    slipway.wait_task(DAG, run_id, "build", "deferred")
    return slipway.wait(
        "the build to run its commands",
        lambda: next((one for one in built_by(slipway, run_id) if one.get("currentPhase") == "BUILD"), None),
    )


def stopped(slipway, build_id: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        (build,) = slipway.client("codebuild").batch_get_builds(ids=[build_id])["builds"]
        return build if build["buildComplete"] else None

    return slipway.wait(f"the end of {build_id}", ended)


@pytest.fixture(scope="module")
def model(slipway) -> Iterator[None]:
    """The model file that names an image, with its stack."""
    file = slipway.include / "models" / f"{PREFIX}.yaml"
    shutil.copy(ROOT / "include" / "models" / file.name, file)
    slipway.wait_dag(DAG)
    yield
    file.unlink()


@pytest.fixture(scope="module")
def first_build(slipway, model) -> str:
    """The run that has built the first image."""
    run_id = uploaded(slipway, source_zip())
    assert slipway.wait_end(DAG, run_id) == "success", slipway.story(DAG, run_id)
    return run_id


def test_an_upload_becomes_an_image_that_is_recorded(slipway, first_build):
    found = slipway.api().xcom(DAG, first_build, "record")
    (image,) = slipway.client("ecr").describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": found["tag"]}])[
        "imageDetails"
    ]
    assert found["digest"] == image["imageDigest"]
    assert found["newest"]
    assert found["packages"] > 0
    newest = slipway.client("s3").get_object(
        Bucket=slipway.settings.bucket, Key=f"releases/{PREFIX}/images/newest/image.json"
    )
    record = json.loads(newest["Body"].read())
    assert record["digest"] == image["imageDigest"]
    assert record["run"]["run_id"] == first_build
    assert record["base_images"] == [BASE]


def test_one_upload_is_one_run_and_one_build_whose_log_is_the_tasks(slipway, first_build):
    version_id = slipway.api().xcom(DAG, first_build, "source")["version_id"]
    assert slipway.runs_of(DAG, version_id) == [first_build]
    assert [build["buildStatus"] for build in built_by(slipway, first_build)] == ["SUCCEEDED"]
    assert "Entering phase BUILD" in slipway.log(DAG, first_build, "build")


def test_a_new_image_updates_its_asset(slipway, first_build):
    events = slipway.api().call("GET", "/assets/events", source_dag_id=DAG, source_run_id=first_build)
    (event,) = events["asset_events"]
    found = slipway.api().xcom(DAG, first_build, "record")
    assert event["name"] == f"slipway-image-{PREFIX}"
    assert (event["extra"]["image"], event["extra"]["model"]) == (found["image"], PREFIX)


def test_the_same_bytes_again_are_the_same_image_and_no_build(slipway, first_build):
    again = uploaded(slipway, source_zip())
    assert slipway.wait_end(DAG, again) == "success", slipway.story(DAG, again)
    first, second = (slipway.api().xcom(DAG, run_id, "record") for run_id in (first_build, again))
    assert second["digest"] == first["digest"]
    assert len(built_by(slipway, again)) == 1


def test_uploads_of_the_same_bytes_during_a_build_wait_for_it(slipway, first_build):
    body = source_zip(f"{DOCKERFILE}RUN sleep 15\n")
    runs = [uploaded(slipway, body) for _ in range(2)]
    running(slipway, runs[0])
    runs.append(uploaded(slipway, body))
    assert [slipway.wait_end(DAG, run_id) for run_id in runs] == ["success"] * 3
    assert len(built_by(slipway, runs[0])) == 1
    assert len({slipway.api().xcom(DAG, run_id, "record")["digest"] for run_id in runs}) == 1


def test_a_hostile_source_is_refused_before_anything_is_built(slipway, first_build):
    before, inbox = len(slipway.ledger(operation="StartBuild")), subscribed(slipway, "image-news")
    run_id = uploaded(slipway, source_zip("# syntax=evil/x\nFROM ubuntu:22.04\nRUN --network=host true\n"))
    assert slipway.wait_end(DAG, run_id) == "failed"
    assert slipway.failed_tasks(DAG, run_id) == ["check_source"]
    log = slipway.log(DAG, run_id, "check_source")
    for line in ("found syntax", "found ubuntu:22.04", "found --network=host"):
        assert line in log
    assert len(slipway.ledger(operation="StartBuild")) == before
    ((subject, text),) = slipway.wait("the news of a refused source", lambda: inbox.about(run_id))
    assert subject == f"{PREFIX}: failed"
    assert "The build of the image failed in check_source" in text
    assert "found ubuntu:22.04" in text


def test_a_build_is_stopped_with_its_run_and_another_follows_when_it_is_cleared(slipway, first_build):
    run_id = uploaded(slipway, source_zip(ENDLESS))
    build = running(slipway, run_id)
    slipway.api().call("PATCH", f"/dags/{DAG}/dagRuns/{run_id}", {"state": "failed"})
    assert stopped(slipway, build["id"])["buildStatus"] == "STOPPED"
    # What follows was skipped by the mark; left so, it would make the run a success.
    body = {
        "dag_run_id": run_id,
        "task_ids": ["build"],
        "include_downstream": True,
        "dry_run": False,
        "only_failed": False,
    }
    slipway.api().call("POST", f"/dags/{DAG}/clearTaskInstances", body)
    second = slipway.wait(
        "another build", lambda: next((one for one in built_by(slipway, run_id) if one["id"] != build["id"]), None)
    )
    slipway.client("codebuild").stop_build(id=second["id"])
    assert slipway.wait_end(DAG, run_id) == "failed"
    assert "Somebody has stopped the build" in slipway.log(DAG, run_id, "build")
    assert len(built_by(slipway, run_id)) == 2


def test_a_build_ends_with_a_run_that_was_failed_while_the_triggerer_was_down(slipway, first_build):
    run_id = uploaded(slipway, source_zip(f"{ENDLESS}# another\n"))
    build = running(slipway, run_id)
    os.killpg(Status.read(slipway.settings).components["triggerer"].pid, signal.SIGKILL)
    slipway.api().call("PATCH", f"/dags/{DAG}/dagRuns/{run_id}", {"state": "failed"})
    assert stopped(slipway, build["id"])["buildStatus"] == "STOPPED"
    assert len(slipway.ledger(operation="StopBuild", outcome="ok")) >= 1
