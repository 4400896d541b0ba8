"""Two uploads in a row under QUEUED and under PARALLEL: who trains, and when, by the call ledger.

Takes some minutes, so its name keeps it from being collected: `make test-modes` asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo import training_job, upload

pytestmark = pytest.mark.e2e

# Trains for longer than any test waits.
ENDLESS = {"num_round": "100000"}
MODES = {"queued-model": "QUEUED", "parallel-model": "PARALLEL"}


@pytest.fixture(scope="module")
def runs(slipway) -> Iterator[dict[str, list[str]]]:
    """Two releases of each of two models, the second uploaded while the first trains; taken away afterwards."""
    models = slipway.include / "models"
    iris = (models / "iris-model.yaml").read_text()
    for prefix, mode in MODES.items():
        text = iris.replace("iris", prefix.removesuffix("-model"))
        (models / f"{prefix}.yaml").write_text(f"{text}\nexecution_mode: {mode}\n")
        upload.upload_data(slipway.settings, prefix, "iris")
    slipway.make_model_roles()
    started: dict[str, list[str]] = {prefix: [] for prefix in MODES}
    for _ in range(2):
        for prefix in MODES:
            body = training_job.build(prefix, slipway.settings.bucket, ENDLESS)
            started[prefix].append(slipway.release(prefix, body))
        # Under QUEUED whoever comes first is first: here the first upload.
        for prefix, (run_id, *_) in started.items():
            slipway.wait_task(prefix, run_id, "train", "deferred")
    yield started
    for prefix in MODES:
        for run in slipway.api().runs(prefix):
            if run["state"] in ("queued", "running"):
                take_away(slipway, prefix, run["dag_run_id"])
        (models / f"{prefix}.yaml").unlink()


def take_away(slipway, prefix: str, run_id: str) -> None:
    slipway.api().call("PATCH", f"/dags/{prefix}/dagRuns/{run_id}", {"state": "failed"})


def trained(slipway, prefix: str) -> list[str]:
    """The model's training jobs in the order of their creation."""
    created = slipway.ledger(operation="CreateTrainingJob", outcome="ok")
    return [call["resource"] for call in created if prefix in call["resource"]]


def job_name(slipway, prefix: str, run_id: str) -> str:
    return slipway.api().xcom(prefix, run_id, "process_request")["training_job_name"]


def test_parallel_releases_train_at_the_same_time(slipway, runs):
    both = runs["parallel-model"]
    slipway.wait("two training jobs", lambda: len(trained(slipway, "parallel-model")) == 2)
    names = {job_name(slipway, "parallel-model", run_id) for run_id in both}
    assert set(trained(slipway, "parallel-model")) == names
    sagemaker = slipway.client("sagemaker")
    states = [sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] for name in names]
    assert states == ["InProgress"] * 2


def test_a_queued_release_trains_when_the_one_before_it_has_gone(slipway, runs):
    first, second = runs["queued-model"]
    slipway.wait_task("queued-model", second, "train", "deferred")
    slipway.wait("the first training job", lambda: trained(slipway, "queued-model"))
    waits = f"Not in the stage train yet: waiting for the run {first}"
    slipway.wait("the second to wait", lambda: waits in slipway.log("queued-model", second, "train"))
    assert trained(slipway, "queued-model") == [job_name(slipway, "queued-model", first)]
    take_away(slipway, "queued-model", first)
    slipway.wait("the second training job", lambda: len(trained(slipway, "queued-model")) == 2)
    assert trained(slipway, "queued-model")[1] == job_name(slipway, "queued-model", second)
