"""AWS is away at each step of a release, and loses the answer of each write: no attempt fails, nothing is doubled."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import Event

import pytest
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk.exceptions import TaskDeferred

from slipway.approval import asking
from slipway.approval.wait import ApprovalTrigger
from slipway.aws.sagemaker import SageMakerHook
from slipway.source.intake import WatchedBucket, take_in
from slipway.source.versions import S3Versions
from slipway.training.owner import AirflowTasks
from slipway.training.reaper import reap
from tests.faults.injection import FaultInjection
from tests.faults.releases import Run, approve, tasks
from tests.local_aws.release_support import model, zip_with
from tests.unit.request_samples import BUCKET, KEY
from tests.unit.scripted_aws import MemoryStore
from tests.unit.task_runs import first_event

pytestmark = pytest.mark.local_aws

MODEL = model().model_copy(update={"test": model().test.model_copy(update={"max_rows": 4})})
TASKS = list(tasks(MODEL))
# A blackout ends when so many calls have met it, or at last after this time.
CALLS_MET = 1
LIMIT_SECONDS = 120
# Their first answers are lost, though AWS has done what was asked.
UNHEARD = (
    {"service": "s3", "operation": "PutObject", "resource": "*/claim.json"},
    {"service": "s3", "operation": "PutObject", "resource": "*/trainingjob.zip"},
    {"service": "s3", "operation": "PutObject", "resource": "*/metrics.json"},
    {"service": "s3", "operation": "PutObject", "resource": "*/stages.json"},
    {"service": "sagemaker", "operation": "CreateTrainingJob"},
    {"service": "sagemaker", "operation": "CreateModelPackageGroup"},
    {"service": "sagemaker", "operation": "CreateModelPackage"},
    {"service": "sagemaker", "operation": "UpdateModelPackage"},
    {"service": "cloudformation", "operation": "CreateChangeSet"},
    {"service": "cloudformation", "operation": "ExecuteChangeSet"},
)
ONCE = (
    "CreateTrainingJob",
    "CreateModelPackageGroup",
    "UpdateModelPackage",
    "CreateModel",
    "CreateEndpointConfig",
    "CreateEndpoint",
)


@pytest.fixture(scope="module")
def faults(aws):
    """What goes wrong. botocore repeats nothing by itself here, or it would outlast blackouts as short as these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setenv("AIRFLOW__SLIPWAY__AWS_PATIENCE_SECONDS", "120")
        patch.setattr(asking, "put_question", lambda **detail: None)
        yield FaultInjection(aws.endpoint_url)


@contextmanager
def blackout(aws, faults):
    """A blackout that ends once it was met, and not before; however long a busy machine takes to make a call."""
    fault_id, over = faults.blackout(LIMIT_SECONDS), Event()

    def met() -> int:
        return sum(call.get("fault") == fault_id for call in aws.ledger(outcome="dropped"))

    def end() -> None:
        while met() < CALLS_MET and not over.wait(0.05):
            continue
        faults.remove(fault_id)

    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(end)
        try:
            yield
        finally:
            over.set()
            ending.result()
    assert met() >= CALLS_MET


@dataclass(frozen=True)
class Story:
    """A release, and the faults that it was to meet."""

    results: dict[str, dict]
    steps: Counter[str]
    unheard: list[str]


@pytest.fixture(scope="module")
def release(aws, faults) -> Story:
    """Taken up to production, each task in one attempt, with a blackout as it begins and whenever it goes on."""
    uploaded = aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=zip_with(num_round="2"))
    run, story = Run("s3__dark", uploaded["VersionId"]), Story({}, Counter(), [])
    story.unheard.extend(faults.add(**which, drop="after", count=1) for which in UNHEARD)
    for task_id, make in tasks(MODEL).items():
        run.xcoms[task_id] = story.results[task_id] = in_the_dark(aws, faults, story, run, task_id, make())
    return story


def in_the_dark(aws, faults, story: Story, run: Run, task_id: str, operator):
    """Run a task, whose every step begins in a blackout. Returns its result."""
    method, arguments, paused = operator.execute, {}, False
    while True:
        story.steps[task_id] += not paused
        try:
            # After a pause that an outage was the reason of, another one would be the reason of the next.
            with nullcontext() if paused else blackout(aws, faults):
                return method(run.context(task_id), **arguments)
        except TaskDeferred as deferral:
            trigger = deferral.trigger
            event = approve(run, trigger) if isinstance(trigger, ApprovalTrigger) else first_event(trigger)
            paused = isinstance(trigger, TimeDeltaTrigger)
            method = getattr(operator, deferral.method_name)
            arguments = {**(deferral.kwargs or {}), "event": event}


@pytest.mark.parametrize("task_id", TASKS)
def test_a_task_outlasts_every_blackout_in_one_attempt(release, task_id, record_property):
    record_property(f"steps of {task_id} that began without AWS", release.steps[task_id])
    assert release.results[task_id]


def test_nothing_is_made_twice_though_the_answer_was_lost(aws, faults, release):
    met = {fault["id"]: fault["hits"] for fault in faults.list()}
    assert [met[fault] for fault in release.unheard] == [1] * len(UNHEARD)
    effects = Counter(
        (call["operation"], call["resource"]) for call in aws.ledger(outcome="ok") if call["operation"] in ONCE
    )
    assert {operation for operation, _ in effects} == set(ONCE)
    # On the package stand the decision and, from deploy_prd, what production served before.
    records = {("UpdateModelPackage", release.results["register"]["model_package_arn"]): 2}
    assert {effect: times for effect, times in effects.items() if times > 1} == records
    # A repeated request is answered with the package that its ClientToken made before.
    group = release.results["process_request"]["model_package_group"]
    (package,) = aws.client("sagemaker").list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert package["ModelPackageArn"] == release.results["register"]["model_package_arn"]


def test_intake_and_reaper_outlast_a_blackout(aws, faults, release):
    started = []

    def start(dag_id, run_id, conf, note):
        started.append(run_id)
        return True

    aws.client("s3").put_object(Bucket=BUCKET, Key="training_jobs/dark-model/trainingjob.zip", Body=b"any")
    source = WatchedBucket(BUCKET, None, {"training_jobs/dark-model/trainingjob.zip": "dark-model"})
    with blackout(aws, faults):
        take_in(source, MemoryStore(), S3Versions(), start)
    with blackout(aws, faults):
        assert reap(SageMakerHook(), AirflowTasks(), "tests") == []
    assert len(started) == 1
