"""Several machines, as far as one can be that: workers, schedulers and triggerers are killed, Redis and PostgreSQL too.

Each scheduler, triggerer and worker has folders of its own, and logs go to S3.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import pytest

from demo import training_job, upload
from slipway.names import stack_name
from slipway.states import Environment
from tests.e2e.remote_logs import keep_logs, remote_logging
from tests.faults.chaos.victims import task_components
from tests.instance import SHORT_PATIENCE, Instance
from tools.environment import OPTION_PREFIX
from tools.fleet import LOAD_QUEUE, REDIS
from tools.supervisor import Status

pytestmark = pytest.mark.e2e

MODEL = "iris-model"
STACKS = sorted(stack_name(MODEL, environment) for environment in Environment)


# A message that a killed worker had taken is sent again after two minutes instead of ten: few tasks queue here.
QUEUED = {f"{OPTION_PREFIX}SCHEDULER__TASK_QUEUED_TIMEOUT": "120"}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, free_ports):
    """Two schedulers, two triggerers and three workers."""
    extra = SHORT_PATIENCE | QUEUED | remote_logging()
    instance = Instance.in_folder(tmp_path_factory.mktemp("fleet"), free_ports(2), extra, celery_workers=3)
    try:
        instance.services("up")
        keep_logs(instance)
        upload.upload_data(instance.settings, MODEL, "iris")
        yield instance
    finally:
        instance.services("down")


def hit(slipway: Instance, name: str, number: signal.Signals = signal.SIGKILL) -> None:
    """Signals a component and waits until the supervisor has started it again."""
    status = Status.read(slipway.settings)
    assert status is not None
    before = status.components[name]
    assert before.pid is not None
    os.kill(before.pid, number)
    slipway.wait(f"another {name}", lambda: restarted(slipway, name, before.restarts))


def restarted(slipway: Instance, name: str, before: int) -> bool:
    status = Status.read(slipway.settings)
    return status is not None and status.components[name].restarts > before and bool(status.components[name].pid)


def begin(slipway: Instance, seed: int) -> tuple[str, str]:
    """Uploads a zip that no other seed has. Returns the version and the run."""
    body = training_job.build(MODEL, slipway.settings.bucket, {"seed": str(seed)})
    version = upload.upload_zip(slipway.settings, MODEL, body).version_id
    return version, slipway.run_of(MODEL, version)


def approve(slipway: Instance, run_id: str) -> None:
    slipway.wait_approval(MODEL, run_id)
    slipway.api().answer(MODEL, run_id, "approve", "Approve")


def check(slipway: Instance, version: str, run_id: str, since: int) -> None:
    """Nothing is lost and nothing is there twice.

    :param since: how many lines the ledger had before the upload
    """
    assert slipway.wait_end(MODEL, run_id) == "success", slipway.story(MODEL, run_id)
    assert slipway.runs_of(MODEL, version) == [run_id]
    done = Counter(
        (call["operation"], call["resource"])
        for call in slipway.ledger(outcome="ok")[since:]
        if call["operation"] in ("CreateTrainingJob", "ExecuteChangeSet", "CreateModelPackage")
    )
    jobs = [name for operation, name in done if operation == "CreateTrainingJob"]
    changed = sorted(name for operation, name in done if operation == "ExecuteChangeSet")
    assert (len(jobs), changed, set(done.values())) == (1, STACKS, {1}), done


def test_a_release_survives_a_worker_a_scheduler_and_a_triggerer(fleet, record_property):
    since = len(fleet.ledger(outcome="ok"))
    version, run_id = begin(fleet, 1)
    worker = fleet.wait("a task on a worker", lambda: next(iter(task_components(fleet.settings)), None))
    hit(fleet, worker)
    fleet.wait_task(MODEL, run_id, "train", "deferred", "success")
    hit(fleet, "triggerer")
    hit(fleet, "scheduler-2")
    approve(fleet, run_id)
    fleet.wait_task(MODEL, run_id, "deploy_prd", "running", "deferred", "success")
    for name in ("scheduler", "triggerer-2", *list(task_components(fleet.settings))[:1]):
        hit(fleet, name)
    check(fleet, version, run_id, since)
    attempts = {name: task["try_number"] for name, task in fleet.api().tasks(MODEL, run_id).items()}
    record_property("attempts of a release, two of each kind killed", max(attempts.values()))


def test_a_release_survives_restarts_of_redis_and_postgresql(fleet, record_property):
    since = len(fleet.ledger(outcome="ok"))
    hit(fleet, REDIS)
    version, run_id = begin(fleet, 2)
    fleet.wait_task(MODEL, run_id, "process_request", "queued", "running", "success")
    hit(fleet, REDIS, signal.SIGTERM)
    hit(fleet, "postgres", signal.SIGINT)
    fleet.wait("an answer of the API", lambda: answers(fleet))
    fleet.wait_task(MODEL, run_id, "deploy_dev", "queued", "running", "deferred", "success")
    hit(fleet, "postgres")
    fleet.wait("an answer of the API", lambda: answers(fleet))
    approve(fleet, run_id)
    check(fleet, version, run_id, since)
    attempts = {name: task["try_number"] for name, task in fleet.api().tasks(MODEL, run_id).items()}
    record_property("attempts of a release, Redis and PostgreSQL restarted twice each", max(attempts.values()))


def answers(slipway: Instance) -> bool:
    try:
        return bool(slipway.api().runs(MODEL))
    except Exception:
        time.sleep(1)
        return False


def test_a_stress_test_runs_in_its_own_queue(fleet):
    form = {"model": MODEL, "environment": "prd", "stages": "2:50", "p99_ms": 60_000, "watch_seconds": 0}
    run_id = fleet.api().trigger("stress_test", form)
    assert fleet.wait_end("stress_test", run_id) == "success", fleet.story("stress_test", run_id)
    path = f"/dags/stress_test/dagRuns/{run_id}/taskInstances/stress"
    assert fleet.api().call("GET", path)["queue"] == LOAD_QUEUE
