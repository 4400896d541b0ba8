"""Every task of a release killed at each of its calls to AWS, twice at each; the ledger says what was done twice."""

import contextlib
from collections import Counter
from dataclasses import dataclass

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.approval import asking
from slipway.approval.wait import ApprovalTrigger
from slipway.aws.s3 import iso_utc
from slipway.cleanup.teardown import NothingLeftOperator, TeardownOperator
from slipway.names import auto_run_id
from slipway.source.intake import WatchedBucket, take_in
from slipway.source.uploads import IntakeState
from slipway.source.versions import S3Versions
from tests.faults.crashes import Crashes, Waits, attempt, kill_at_each_place, kill_everywhere
from tests.faults.releases import Run, approve, begin, tasks
from tests.local_aws.release_support import model, zip_with
from tests.unit.request_samples import BUCKET, KEY
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import teardown_context

pytestmark = pytest.mark.local_aws

# Each row that an endpoint is tried with is a call, and one is like the other.
MODEL = model().model_copy(update={"test": model().test.model_copy(update={"max_rows": 4})})
TASKS = list(tasks(MODEL))
# What is paid for, or decides: each of them once for a release, or once for an environment.
ONCE = (
    "CreateTrainingJob",
    "CreateModelPackageGroup",
    "CreateModelPackage",
    "UpdateModelPackage",
    "CreateModel",
    "CreateEndpointConfig",
    "CreateEndpoint",
    "ExecuteChangeSet",
    "RegisterScalableTarget",
)
NEVER = ("UpdateEndpoint", "DeleteEndpoint", "DeleteStack", "StopTrainingJob")


@pytest.fixture(scope="module")
def crashes(aws, every_kill):
    """What kills; approve asks its question of nobody here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "put_question", lambda **detail: None)
        yield Crashes.install(patch, every=every_kill)


@dataclass(frozen=True)
class Story:
    """What became of one task.

    :param kills: how often it was killed
    :param result: of the attempt that got through
    :param cleared: of the task run again after that, killed everywhere again
    :param undisturbed: of the task run once more, not killed
    """

    kills: int
    result: dict
    cleared: dict
    undisturbed: dict


@pytest.fixture(scope="module")
def release_run(aws) -> Run:
    """The release's run."""
    uploaded = aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=zip_with(num_round="2"))
    return Run("s3__killed", uploaded["VersionId"])


@pytest.fixture(scope="module")
def release(release_run, crashes) -> dict[str, Story]:
    """The release taken up to production, every task killed wherever it can be."""
    run, waits, stories = release_run, Waits(crashes), {}

    def answer(trigger):
        return approve(run, trigger) if isinstance(trigger, ApprovalTrigger) else waits(trigger)

    for task_id, make in tasks(MODEL).items():
        ctx, before = run.context(task_id), crashes.kills

        def once(make=make, ctx=ctx):
            return attempt(crashes, make, ctx, answer)

        run.xcoms[task_id] = result = kill_everywhere(crashes, once)
        cleared = kill_everywhere(crashes, once, in_a_row=1)
        stories[task_id] = Story(crashes.kills - before, result, cleared, once())
    return stories


@pytest.mark.parametrize("task_id", TASKS)
def test_a_task_killed_everywhere_comes_to_the_result_of_one_that_never_was(release, task_id, record_property):
    story = release[task_id]
    record_property(f"kills of {task_id}", story.kills)
    assert story.kills > 0
    assert _lasting(story.result) == _lasting(story.cleared) == _lasting(story.undisturbed)


def test_nothing_is_made_or_decided_twice(aws, release):
    effects = Counter(
        (call["operation"], call["resource"]) for call in aws.ledger(outcome="ok") if call["operation"] in ONCE
    )
    assert {operation for operation, _ in effects} == set(ONCE)
    # Of a package: the decision, and what production served before it.
    packages = {effect: 2 for effect in effects if effect[0] == "UpdateModelPackage"}
    assert {effect: times for effect, times in effects.items() if times > 1} == packages
    assert len(packages) == 1
    assert Counter(operation for operation, _ in effects)["CreateTrainingJob"] == 1
    assert [call for call in aws.ledger(outcome="ok") if call["operation"] in NEVER] == []


def _lasting(result: dict) -> dict:
    """A result without what differs from one look to the next: when and how fast, and whether there was work left."""
    return {
        key: value for key, value in result.items() if key not in ("latency_ms", "aws_seconds", "change", "tested_at")
    }


def test_a_job_is_made_once_wherever_the_first_two_attempts_end(aws, crashes, record_property):
    """Each place on a revision of its own: what follows a kill is a whole, undisturbed retry."""
    jobs, before = [], crashes.kills

    def fresh():
        run = begin(aws, MODEL, zip_with(num_round="1"))
        jobs.append(run.xcoms["process_request"]["training_job_name"])
        return lambda: _train(run)

    kill_at_each_place(crashes, fresh)
    record_property(f"kills of train on {len(jobs)} revisions", crashes.kills - before)
    created = Counter(call["resource"] for call in aws.ledger(operation="CreateTrainingJob", outcome="ok"))
    assert {name: created[name] for name in jobs} == dict.fromkeys(jobs, 1)


def test_a_model_is_registered_once_wherever_the_first_two_attempts_end(
    aws, crashes, release, release_run, record_property
):
    """Each place on a revision and a group of its own."""
    groups, before = [], crashes.kills

    def fresh():
        groups.append(f"mlops-killed-{len(groups)}")
        plan = {"revision_id": f"{len(groups):032x}", "model_package_group": groups[-1]}
        run = Run(groups[-1])
        run.xcoms = release_run.xcoms | {"process_request": release_run.xcoms["process_request"] | plan}
        return lambda: tasks(MODEL)["register"]().execute(run.context("register"))

    kill_at_each_place(crashes, fresh)
    record_property(f"kills of register on {len(groups)} revisions", crashes.kills - before)
    list_packages = aws.client("sagemaker").list_model_packages
    listed = [list_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"] for group in groups]
    assert [len(packages) for packages in listed] == [1] * len(groups)


def _train(run: Run) -> None:
    # Up to the wait; a later attempt may find that the job has ended meanwhile.
    with contextlib.suppress(TaskDeferred):
        tasks(MODEL)["train"]().execute(run.context("train"))


def test_a_run_has_one_attempt_of_a_zip_wherever_its_first_two_tries_end(aws, crashes, record_property):
    """Each place on a zip of its own that was released before; another run comes in before each try."""
    attempts, before = [], crashes.kills

    def fresh():
        version = aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=b"any")["VersionId"]
        others = []
        attempts.append((others, mine := []))

        def claim(run_id):
            run = Run(run_id, version, new_attempt=True)
            return tasks(MODEL)["source"]().execute(run.context("source"))["attempt"]

        def once():
            with crashes.disarmed():
                others.append(claim(f"manual__{len(others)}"))
            mine[:] = [claim("manual__killed")]

        others += [claim(f"manual__{number}") for number in range(3)]
        return once

    kill_at_each_place(crashes, fresh)
    record_property(f"kills of source on {len(attempts)} versions", crashes.kills - before)
    for others, mine in attempts:
        # Each number belongs to one run, and none is missing: no kill has taken a second one.
        assert sorted(others + mine) == list(range(1, len(others) + 2))


def test_a_killed_intake_starts_each_release_once(aws, crashes, record_property):
    s3, before = aws.client("s3"), crashes.kills
    key = "training_jobs/killed-model/trainingjob.zip"
    for _ in range(3):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"any")
    versions = s3.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"]
    store, runs = MemoryStore(), Counter()

    class Store(MemoryStore):
        def set(self, key, value):
            crashes.around(lambda: store.set(key, value))

        def get(self, key):
            return store.get(key)

    def start(dag_id, run_id, conf, note):
        # As in Airflow: a run id is there once.
        return crashes.around(lambda: runs.update({run_id: run_id not in runs}) or True)

    def once():
        return take_in(WatchedBucket(BUCKET, None, {key: "killed-model"}), Store(), S3Versions(), start)

    store.set("intake", IntakeState().to_json())
    kill_everywhere(crashes, once)
    record_property("kills of the intake", crashes.kills - before)
    assert runs == dict.fromkeys(
        (auto_run_id(BUCKET, key, one["VersionId"], iso_utc(one["LastModified"])) for one in versions), 1
    )
    assert once()["started"] == 0


def test_a_killed_teardown_leaves_nothing(aws, crashes, release, record_property):
    form, before = teardown_context("iris-model", remove_record=True), crashes.kills
    waits = Waits(crashes)
    kill_everywhere(
        crashes, lambda: attempt(crashes, lambda: TeardownOperator(task_id="remove"), form, waits), in_a_row=1
    )
    record_property("kills of the teardown", crashes.kills - before)
    assert attempt(crashes, lambda: NothingLeftOperator(task_id="nothing_left"), form, waits) == []
    assert aws.client("sagemaker").list_endpoints()["Endpoints"] == []
