"""Training jobs whose task was taken away while nobody looked; the ledger says what was stopped."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo import training_job, upload
from tools import services
from tools.supervisor import ComponentStatus, Status

pytestmark = pytest.mark.e2e

# Trains for longer than any test waits.
ENDLESS = {"num_round": "100000"}


@pytest.fixture(scope="module")
def slipway(struck):
    """Here, too, processes are killed."""
    return struck


@pytest.fixture
def second_model(slipway):
    """A copy of the iris model under another name, so that two releases run side by side."""
    models = slipway.include / "models"
    file = models / "orphan-model.yaml"
    file.write_text((models / "iris-model.yaml").read_text().replace("iris", "orphan"))
    slipway.wait_dag("orphan-model")
    yield "orphan-model"
    file.unlink()


def train_endlessly(slipway, prefix: str) -> tuple[str, str]:
    """Starts a release. Returns its run and the job that its train waits for."""
    upload.upload_data(slipway.settings, prefix, "iris")
    run_id = slipway.release(prefix, training_job.build(prefix, slipway.settings.bucket, ENDLESS))
    slipway.wait_task(prefix, run_id, "train", "deferred")
    return run_id, slipway.api().xcom(prefix, run_id, "process_request")["training_job_name"]


def stops(slipway, job: str) -> list[dict]:
    return [line for line in slipway.ledger(operation="StopTrainingJob", outcome="ok") if job in line["resource"]]


def test_jobs_end_with_runs_that_were_failed_or_deleted_while_the_triggerer_was_down(
    slipway, second_model, record_property
):
    failed, failed_job = train_endlessly(slipway, "iris-model")
    deleted, deleted_job = train_endlessly(slipway, second_model)
    triggerer = Status.read(slipway.settings).components["triggerer"].pid

    os.killpg(triggerer, signal.SIGKILL)
    for prefix, run_id in (("iris-model", failed), (second_model, deleted)):
        slipway.api().call("PATCH", f"/dags/{prefix}/dagRuns/{run_id}", {"state": "failed"})
    slipway.api().call("DELETE", f"/dags/{second_model}/dagRuns/{deleted}")
    taken_away = datetime.now(UTC)

    for job in (failed_job, deleted_job):
        slipway.wait(f"{job} to be stopped", lambda job=job: stops(slipway, job))
        described = slipway.wait(f"the end of {job}", lambda job=job: ended(slipway, job))
        assert described["TrainingJobStatus"] == "Stopped"
        (stop,) = stops(slipway, job)
        seconds = (datetime.fromisoformat(stop["time"]) - taken_away).total_seconds()
        record_property(f"seconds from the end of the run until {job} was stopped, the triggerer dead", round(seconds))
    assert Status.read(slipway.settings).components["triggerer"].pid != triggerer
    assert {run["state"] for run in slipway.api().runs("reaper")} <= {"success", "running", "queued"}


@pytest.mark.rare
def test_waits_go_on_when_the_triggerer_lives_but_does_nothing(slipway):
    run_id, job = train_endlessly(slipway, "iris-model")
    # Its event loop stands still, and then the process that supervises the loop.
    for stopped in (runner_of, lambda triggerer: triggerer):
        slipway.wait("the triggerer to work", lambda: triggerer_of(slipway).answered)
        former = triggerer_of(slipway)
        os.kill(stopped(former.pid), signal.SIGSTOP)
        told = slipway.wait("the supervisor to restart the triggerer", lambda former=former: restarted(slipway, former))
        assert told.last_end.startswith("did not answer for")
        slipway.wait("a heartbeat", lambda: services.components_health(slipway.settings)["triggerer"] == "healthy")
    assert slipway.api().tasks("iris-model", run_id)["train"]["state"] == "deferred"
    assert not stops(slipway, job)
    slipway.client("sagemaker").stop_training_job(TrainingJobName=job)
    assert slipway.wait_end("iris-model", run_id) == "failed"
    task = slipway.api().tasks("iris-model", run_id)["train"]
    assert task["try_number"] == 1
    assert "Somebody stopped the training job" in slipway.log("iris-model", run_id, "train")


def triggerer_of(slipway) -> ComponentStatus:
    return Status.read(slipway.settings).components["triggerer"]


def runner_of(triggerer: int) -> int:
    """The process with the event loop."""
    (runner,) = Path(f"/proc/{triggerer}/task/{triggerer}/children").read_text().split()
    return int(runner)


def restarted(slipway, former: ComponentStatus) -> ComponentStatus | None:
    now = triggerer_of(slipway)
    return now if now.pid and now.restarts > former.restarts else None


def ended(slipway, job: str) -> dict | None:
    described = slipway.client("sagemaker").describe_training_job(TrainingJobName=job)
    return described if described["TrainingJobStatus"] not in ("InProgress", "Stopping") else None
