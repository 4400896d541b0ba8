"""kill -9 of the worker right after SageMaker created the job, and before anybody recorded it."""

import json
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
from airflow.sdk.exceptions import TaskDeferred

from tests.faults.releases import begin, tasks
from tests.faults.workers import in_a_worker, kill_after
from tests.local_aws.release_support import model, zip_with
from tests.unit.request_samples import BUCKET, training_job

pytestmark = [pytest.mark.local_aws, pytest.mark.rare]

REVISIONS = 20
STOCK_TASKS = 2


@pytest.fixture(autouse=True, scope="module")
def loaded(aws) -> None:
    """Import and read what a client of SageMaker takes, which each fork would do again."""
    assert SageMakerHook().conn


def killed_then_tried_again(execute: Callable[[], Any]) -> str:
    """Run a task in a worker that is killed, then in another one. Returns the job that the task waits for then."""

    def job() -> str:
        try:
            trained = execute()
        except TaskDeferred as deferral:
            return deferral.trigger.job_name
        # The machine was so slow that the job has ended by now.
        return trained["training_job_name"]

    def killed() -> str:
        kill_after("CreateTrainingJob")
        return job()

    assert in_a_worker(killed) == (signal.SIGKILL, "")
    return in_a_worker(job)[1]


def created(aws) -> Counter:
    return Counter(call["resource"] for call in aws.ledger(operation="CreateTrainingJob", outcome="ok"))


def test_twenty_killed_workers_leave_twenty_jobs(aws, record_property):
    runs = [begin(aws, model(), zip_with(num_round="1")) for _ in range(REVISIONS)]
    names = [run.xcoms["process_request"]["training_job_name"] for run in runs]
    train = tasks(model())["train"]
    waited_for = [killed_then_tried_again(lambda run=run: train().execute(run.context("train"))) for run in runs]
    record_property("jobs of twenty revisions, each worker killed", sum(created(aws).values()))
    assert waited_for == names
    assert created(aws) == dict.fromkeys(names, 1)


def test_the_stock_operator_pays_twice(aws, record_property):
    """The same fault: the test above can tell."""
    before = created(aws)
    job = json.loads(json.dumps(training_job()).replace("sagemaker-us-west-2-123456789012", BUCKET))
    for number in range(STOCK_TASKS):
        config = {**job, "TrainingJobName": f"stock-{number}"}
        waited_for = killed_then_tried_again(
            lambda config=config: SageMakerTrainingOperator(
                task_id="train", config=config, deferrable=True, print_log=False
            ).execute({})
        )
        assert waited_for.startswith(f"stock-{number}-")
    made = created(aws) - before
    record_property(f"jobs of {STOCK_TASKS} tasks of stock operators, each worker killed", sum(made.values()))
    assert len(made) == 2 * STOCK_TASKS
