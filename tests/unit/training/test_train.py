"""The training task: one job for each revision, also after crashes."""

import json
import math
import time
from datetime import UTC, datetime

import pytest
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk.exceptions import TaskDeferred

from slipway.aws.logs import LogsHook
from slipway.errors import AwsError, NameConflict, TrainingFailed, TrainingStopped
from slipway.names import training_job_name
from slipway.plan import TAG_DIGEST
from slipway.training import train
from slipway.training.owner import STOPPED_BY_TAG, JobOwner
from slipway.training.train import SlipwayTrainingOperator
from slipway.training.wait import TrainingJobTrigger
from slipway.waiting.results import WaitOutcome, WaitResult
from tests.unit.releases import DIGEST, release_plan, xcoms
from tests.unit.request_samples import iris_model
from tests.unit.stage_runs import with_gate
from tests.unit.task_runs import context, run_task

ARN = "arn:aws:sagemaker:us-west-2:123456789012:training-job/"
NAME = release_plan().training_job_name
SECOND = f"{NAME}-2"
OWNER = JobOwner("tests", "iris-model", "train", "manual__1")


class SageMaker:
    """Training jobs in a dict; the ledger keeps what was created and stopped."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict] = {}
        self.tags: dict[str, dict] = {}
        self.ledger: list[tuple[str, str]] = []
        self.create_errors: list[AwsError] = []

    def add(self, name: str, status: str = "InProgress", digest: str = DIGEST, **fields) -> None:
        self.jobs[name] = {
            "TrainingJobName": name,
            "TrainingJobArn": f"{ARN}{name}",
            "TrainingJobStatus": status,
            "CreationTime": datetime.now(UTC),
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            "AlgorithmSpecification": {"TrainingImage": "image"},
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://bucket/{name}/model.tar.gz"},
            "FinalMetricDataList": [{"MetricName": "validation:merror", "Value": 0.04}],
            "TrainingTimeInSeconds": 42,
            **fields,
        }
        self.tags[f"{ARN}{name}"] = {TAG_DIGEST: digest, **OWNER.to_tags()}

    def describe_training_job(self, name: str) -> dict | None:
        return self.jobs.get(name)

    def list_tags(self, arn: str) -> dict[str, str]:
        return self.tags[arn]

    def create_training_job(self, parameters: dict) -> str:
        name = parameters["TrainingJobName"]
        self.ledger.append(("CreateTrainingJob", name))
        if self.create_errors:
            raise self.create_errors.pop(0)
        self.add(name)
        self.tags[f"{ARN}{name}"] = {tag["Key"]: tag["Value"] for tag in parameters["Tags"]}
        return f"{ARN}{name}"

    def add_tags(self, arn: str, tags: dict[str, str]) -> None:
        self.ledger.append(("AddTags", arn.removeprefix(ARN)))
        self.tags[arn] |= tags

    def stop_training_job(self, name: str) -> bool:
        self.ledger.append(("StopTrainingJob", name))
        return True

    def created(self) -> list[str]:
        return [name for operation, name in self.ledger if operation == "CreateTrainingJob"]


class Operator(SlipwayTrainingOperator):
    """Without S3 and CloudWatch Logs."""

    def _parameters(self, plan):
        return {"HyperParameters": {"secret": "s3cret"}, "Tags": [{"Key": TAG_DIGEST, "Value": plan.digest}]}

    def _last_lines(self, name):
        return [f"the log of {name}"]


@pytest.fixture
def sagemaker():
    return SageMaker()


@pytest.fixture
def operator(sagemaker):
    operator = Operator(task_id="train", model=iris_model())
    operator.__dict__["hook"] = sagemaker
    return with_gate(operator)


def ends(sagemaker, status: str, **fields):
    """Build a wait after which the job has this status."""

    def wait(trigger):
        assert isinstance(trigger, TrainingJobTrigger)
        sagemaker.add(trigger.job_name, status, **fields)
        return (
            WaitResult(WaitOutcome.REACHED if status == "Completed" else WaitOutcome.FAILED, status).to_event().payload
        )

    return wait


def test_creates_the_job_waits_and_reports(operator, sagemaker):
    result = run_task(operator, context(xcoms()), wait=ends(sagemaker, "Completed"))

    assert sagemaker.created() == [NAME]
    assert result == {
        "training_job_name": NAME,
        "training_job_arn": f"{ARN}{NAME}",
        "model_data_url": f"s3://bucket/{NAME}/model.tar.gz",
        "image": "image",
        "metrics": {"validation:merror": 0.04},
        "seconds": 42,
    }


@pytest.mark.parametrize("value", [{"Value": "NaN"}, {"Value": math.nan}, {}])
def test_a_metric_that_is_no_number_fails_nothing_here(operator, sagemaker, value):
    """https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html: botocore hands on the text of AWS's JSON."""
    metrics = [{"MetricName": "validation:auc", **value}]
    result = run_task(operator, context(xcoms()), wait=ends(sagemaker, "Completed", FinalMetricDataList=metrics))
    assert json.loads(json.dumps(result, allow_nan=False))["metrics"] == {"validation:auc": "NaN"}


def test_waits_as_long_as_the_job_may_run_and_the_margin(operator, sagemaker):
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(context(xcoms()))

    created = sagemaker.jobs[NAME]["CreationTime"].timestamp()
    assert deferral.value.trigger.deadline == created + 600 + iris_model().timeouts.training_margin_seconds


def test_adopts_the_running_job_of_an_attempt_that_was_killed(operator, sagemaker):
    sagemaker.add(NAME)
    run_task(operator, context(xcoms()), wait=ends(sagemaker, "Completed"))
    assert sagemaker.created() == []


def test_adopts_a_completed_job_without_waiting_and_without_asking_airflow_whose_it_is(
    operator, sagemaker, monkeypatch
):
    asked = []
    monkeypatch.setattr(train, "ensure_airflow_id", lambda: asked.append("whose"))
    monkeypatch.setattr(train, "note_activity", lambda: asked.append("note"))
    sagemaker.add(NAME, "Completed")
    assert operator.execute(context(xcoms()))["training_job_name"] == NAME
    assert sagemaker.ledger == asked == []


def test_adopts_the_job_of_a_faster_attempt(operator, sagemaker):
    def create(parameters):
        sagemaker.add(NAME, "Completed")
        raise AwsError("Cannot create", code="ResourceInUse")

    sagemaker.create_training_job = create
    assert operator.execute(context(xcoms()))["training_job_name"] == NAME


def test_the_job_says_which_run_waits_for_it(operator, sagemaker):
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(context(xcoms()))
    assert JobOwner.from_tags(sagemaker.tags[f"{ARN}{NAME}"]) == OWNER
    assert deferral.value.trigger.owner == OWNER


def test_another_run_that_adopts_the_job_says_so_once(operator, sagemaker):
    sagemaker.add(NAME)
    for _ in range(2):
        with pytest.raises(TaskDeferred):
            operator.execute(context(xcoms(), run_id="manual__2"))
    assert sagemaker.ledger == [("AddTags", NAME)]
    assert JobOwner.from_tags(sagemaker.tags[f"{ARN}{NAME}"]).run_id == "manual__2"


def test_a_job_of_another_digest_is_a_conflict_that_names_both(operator, sagemaker):
    sagemaker.add(NAME, "Completed", digest="other")
    with pytest.raises(NameConflict, match=rf"other.*{DIGEST}"):
        operator.execute(context(xcoms()))
    assert sagemaker.ledger == []


def test_a_failed_job_fails_the_task_with_reason_and_log(operator, sagemaker):
    sagemaker.add(NAME, "Failed", FailureReason="AlgorithmError: num_class is missing")
    with pytest.raises(TrainingFailed, match=f"num_class is missing\nThe last lines of its log:\nthe log of {NAME}"):
        operator.execute(context(xcoms()))
    assert sagemaker.created() == []


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        ("AlgorithmError: num_class is missing", "correct what the reason names, in trainingjob.json"),
        ("ClientError: Data download failed: AccessDenied (403): Access Denied", "let the training role do what"),
        (
            "ClientError: Data download failed: AccessDenied: User: arn:aws:sts::1:assumed-role/training/SageMaker is "
            'not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::data/rows" because no identity-based '
            "policy allows the s3:GetObject action",
            "let arn:aws:sts::1:assumed-role/training/SageMaker do s3:GetObject on arn:aws:s3:::data/rows",
        ),
    ],
)
def test_a_failed_job_says_who_can_put_it_right(operator, sagemaker, reason, fix):
    sagemaker.add(NAME, "Failed", FailureReason=reason)
    with pytest.raises(TrainingFailed) as failed:
        operator.execute(context(xcoms()))
    assert failed.value.fix.startswith(fix) and failed.value.fix.endswith("upload the zip again")


@pytest.mark.parametrize(
    "reason",
    ["CapacityError: Unable to provision requested ML compute capacity", "InternalServerError: Please try again."],
)
def test_a_failure_of_sagemaker_itself_is_tried_again_under_the_next_name(operator, sagemaker, reason):
    sagemaker.add(NAME, "Failed", FailureReason=reason)
    run_task(operator, context(xcoms()), wait=ends(sagemaker, "Completed"))
    assert sagemaker.created() == [SECOND]


def test_the_task_keeps_the_end_of_each_jobs_log_itself(operator, sagemaker, capsys):
    sagemaker.add(NAME, "Failed", FailureReason="InternalServerError: Please try again.")
    run_task(operator, context(xcoms()), wait=ends(sagemaker, "Completed"))
    log = capsys.readouterr().out
    for job in (NAME, SECOND):
        assert f"The whole log of {job}: CloudWatch Logs, group /aws/sagemaker/TrainingJobs, streams {job}/" in log
        assert f"] the log of {job} " in log


def test_a_log_that_cannot_be_read_does_not_fail_a_completed_job(operator, sagemaker, monkeypatch, capsys):
    def denied(*_):
        raise AwsError("Cannot read the log of the training job", code="AccessDeniedException")

    monkeypatch.setattr(LogsHook, "last_lines", denied)
    monkeypatch.setattr(type(operator), "_last_lines", SlipwayTrainingOperator._last_lines)
    sagemaker.add(NAME, "Completed")
    assert operator.execute(context(xcoms()))["training_job_name"] == NAME
    assert "Cannot read the log of the training job" in capsys.readouterr().out


@pytest.mark.parametrize("reason", ["CapacityError: none left", "InternalServerError: again"])
def test_failures_of_sagemaker_itself_end_after_three_jobs(operator, sagemaker, reason):
    wait = ends(sagemaker, "Failed", FailureReason=reason)
    with pytest.raises(TrainingFailed, match=reason):
        run_task(operator, context(xcoms()), wait=wait)
    assert sagemaker.created() == [NAME, SECOND, f"{NAME}-3"]


@pytest.mark.parametrize(
    ("secondary", "says"),
    [("Stopped", r"Somebody stopped the training job \(Stopped\)"), ("MaxRuntimeExceeded", "MaxRuntimeExceeded")],
)
def test_a_stopped_job_and_one_out_of_time_have_different_errors(operator, sagemaker, secondary, says):
    sagemaker.add(NAME, "Stopped", SecondaryStatus=secondary)
    with pytest.raises(TrainingStopped, match=says):
        operator.execute(context(xcoms()))
    assert sagemaker.created() == []


def test_a_cleared_task_trains_again_after_its_job_was_stopped_for_it(operator, sagemaker):
    sagemaker.add(NAME, "Stopped", SecondaryStatus="Stopped")
    sagemaker.tags[f"{ARN}{NAME}"][STOPPED_BY_TAG] = "airflow"
    run_task(operator, context(xcoms()), wait=ends(sagemaker, "Completed"))
    assert sagemaker.created() == [SECOND]


@pytest.mark.parametrize("code", ["ResourceLimitExceeded", "ThrottlingException"])
def test_quota_and_throttling_are_waited_out(operator, sagemaker, code):
    sagemaker.create_errors = [AwsError("Cannot create", code=code, transient=code == "ThrottlingException")]
    waited = []

    def wait(trigger):
        if isinstance(trigger, TimeDeltaTrigger):
            waited.append(trigger)
            return None
        return ends(sagemaker, "Completed")(trigger)

    run_task(operator, context(xcoms()), wait=wait)
    assert len(waited) == 1
    assert sagemaker.created() == [NAME, NAME]


def test_a_quota_that_stays_used_up_ends_with_its_name(operator, sagemaker):
    sagemaker.create_errors = [
        AwsError("Cannot create", code="ResourceLimitExceeded", why="ml.m4.xlarge is 0 Instances")
    ]
    with pytest.raises(TrainingFailed, match=r"ml\.m4\.xlarge is 0 Instances"):
        operator.create_again(context(xcoms()), event=None, give_up_at=time.time() - 1)


def test_any_other_refusal_fails_at_once(operator, sagemaker):
    sagemaker.create_errors = [AwsError("Cannot create", code="ValidationException", why="no such role")]
    with pytest.raises(AwsError, match="Cannot create"):
        operator.execute(context(xcoms()))


def test_a_job_past_its_deadline_is_stopped(operator, sagemaker):
    sagemaker.add(NAME, CreationTime=datetime(2024, 1, 1, tzinfo=UTC))
    with pytest.raises(TrainingStopped, match="did not end within"):
        operator.execute(context(xcoms()))
    assert sagemaker.ledger == [("StopTrainingJob", NAME)]


def test_a_wait_that_aws_refuses_leaves_the_job_alone(operator, sagemaker):
    event = WaitResult(WaitOutcome.REFUSED, reason="AccessDenied").to_event().payload
    with pytest.raises(AwsError, match="AccessDenied"):
        operator.resume(context(xcoms()), event=event)
    assert sagemaker.ledger == []


def test_the_names_of_further_jobs_come_from_the_revision():
    plan = release_plan()
    assert training_job_name(plan.prefix, plan.revision.written_at, plan.revision_id, 2) == SECOND


def test_nothing_of_the_request_is_templated_or_passed_on(operator, sagemaker):
    result = run_task(operator, context(xcoms()), wait=ends(sagemaker, "Completed"))
    assert "config" not in operator.template_fields
    assert "s3cret" not in repr(result)
