"""One way in which each task of a release fails, with the error that Slipway's own code makes of it."""

from __future__ import annotations

from collections.abc import Callable
from inspect import unwrap
from types import SimpleNamespace
from typing import Any, NoReturn

from airflow.sdk import DAG, BaseOperator
from botocore.exceptions import ClientError
from pytest import MonkeyPatch, raises

from slipway.approval.approve import HumanApprovalSensor
from slipway.aws.calls import aws_call
from slipway.deployment.deploy_endpoint import EndpointDeployOperator
from slipway.deployment.roll_back import _HOW_TO_RELEASE, RollBackOperator
from slipway.errors import SlipwayError
from slipway.host import task_errors
from slipway.model.config import Champion
from slipway.plan import Revision
from slipway.quality import champion, golden
from slipway.quality.evaluate import EvaluateOperator
from slipway.quality.scoring import Prediction, Score
from slipway.registry.approval_check import check_approved
from slipway.registry.artefact import Artefact
from slipway.registry.artefact import changed as artefact_changed
from slipway.registry.record import Decision
from slipway.request.fence import fence, parse_zip
from slipway.source.claims import Claim, refusal
from slipway.states import ModelApprovalStatus, TrainingJobStatus
from slipway.training.train import SlipwayTrainingOperator
from slipway.trial import decide
from slipway.trial.settle import TrialSettleOperator
from slipway.trial.watch import TrialWatchOperator
from tests.unit.board.world import arn, iris
from tests.unit.request_samples import AWS, changed, iris_model, request_zip, training_job

MODEL = "iris-model"
KEY = "training_jobs/iris-model/trainingjob.zip"
JOB = "mlops-iris-model-2026-11-29-12-00-00-3f2a0000"
ARTEFACT = "s3://mlops-us-west-2-123456789012/releases/iris-model/3f2a/model.tar.gz"
DEVELOPMENT, PRODUCTION = "iris-model-development", "iris-model-production"
Case = Callable[[], object]


def stand_in(**members: Any) -> Any:
    """Return what a method needs of its operator."""
    return SimpleNamespace(**members)


def quiet(*_: Any, **__: Any) -> None:
    """Do nothing."""


def source() -> NoReturn:
    revision = Revision("mlops-us-west-2-123456789012", KEY, "v13", "e", 1, "2026-11-29T12:00:00+00:00")
    claim = Claim(MODEL, "s3__13", "2026-11-29T12:00:00+00:00", "2026-11-29T12:00:05+00:00")
    raise refusal(revision, claim, "manual__13", newest=True)


def process_request() -> None:
    fence(
        parse_zip(request_zip(changed(training_job(), "ResourceConfig.InstanceType", "ml.p4d.24xlarge"))),
        iris_model(),
        AWS,
    )


def train() -> None:
    job = {
        "TrainingJobName": JOB,
        "FailureReason": "AlgorithmError: there is no row in the channel train, exit code: 1",
    }
    operator = stand_in(_with_log=lambda why, name: why)
    SlipwayTrainingOperator._raise_unless_another(operator, job, TrainingJobStatus.FAILED, 1)


def evaluate() -> None:
    trained = stand_in(xcom_pull=lambda task_ids: {"metrics": {"train:merror": 0.2, "validation:merror": 0.31}})
    with MonkeyPatch.context() as patch:
        patch.setattr("slipway.quality.evaluate.pull_plan", lambda context: None)
        operator = stand_in(
            model=iris(), _live=lambda plan: None, _reported=EvaluateOperator._reported, log=stand_in(info=quiet)
        )
        # Without what Airflow and Slipway wrap around it.
        unwrap(EvaluateOperator.execute)(operator, {"ti": trained})


def register() -> None:
    denied = "User: arn:aws:sts::123456789012:assumed-role/slipway-airflow/airflow is not authorized to perform: "
    error = {"Code": "AccessDeniedException", "Message": f"{denied}sagemaker:CreateModelPackage"}
    with aws_call("create the model package", "mlops-iris-model"):
        raise ClientError({"Error": error}, "CreateModelPackage")


def deploy_dev() -> NoReturn:
    reason = "ROLLBACK_COMPLETE; Endpoint (AWS::SageMaker::Endpoint) CREATE_FAILED: the container did not pass the ping"
    raise EndpointDeployOperator._failed(stand_in(stack_name="mlops-deploy-iris-model-dev"), reason)


def scored(right: int) -> Score:
    return Score([Prediction("1", "1" if number < right else "0", "model-a", 9.0) for number in range(50)])


def test_dev() -> None:
    champion.compare(Champion(not_worse_than=0.05), scored(40), scored(47), regression=False).check(MODEL)


def approve() -> None:
    decided = Decision(
        ModelApprovalStatus.REJECTED, "alice", "2026-11-29T12:00:00+00:00", "Airflow", "Too weak on the rare class."
    )
    operator = stand_in(
        note_decision=quiet, answer_to=quiet, hitl_summary_extra={}, log=stand_in(info=quiet), _tell_end=quiet
    )
    HumanApprovalSensor._finish(operator, {}, arn(MODEL, 13), decided, None)


def roll_back() -> None:
    why = "its artefact was collected as garbage at 2026-11-01T12:00:00+00:00"
    RollBackOperator._refuse(stand_in(), arn(MODEL, 2), why, _HOW_TO_RELEASE)


def deploy_prd() -> None:
    package = {"ModelPackageArn": arn(MODEL, 13), "ModelApprovalStatus": "PendingManualApproval"}
    check_approved(package, iris().approval.rules(), None, lambda: "")


def test_prd() -> None:
    golden.check([Prediction("2", "2", "model-a", 9.0), Prediction("0", "1", "model-a", 9.0)], None, PRODUCTION)


def watch_trial() -> None:
    gone = stand_in(describe_endpoint=lambda name: None)
    TrialWatchOperator._endpoint(stand_in(_name=lambda context: PRODUCTION, sagemaker=gone), {})


def decide_trial() -> None:
    decide._comparison({"ti": stand_in(xcom_pull=lambda task_ids: None)})


def settle_trial() -> None:
    record = stand_in(outcome_why="41 of 900 requests were answered with an error, 4.6 %; the limit is 1 %")
    operator = stand_in(leave_stages=lambda *_: None, endpoint_name=PRODUCTION, _record=record)
    TrialSettleOperator._finish_sent_back(operator, {}, {}, stand_in(parameters={}), 0.0)


def collect_garbage() -> NoReturn:
    raise artefact_changed(Artefact(ARTEFACT, 5969, "6e25c65e", "85483528", "113fc2b8"), None)


# What fails, in words, and the product's own code that says so.
CASES: dict[str, tuple[str, Case]] = {
    "source": ("a person triggers a run without a version, and the newest one has been released", source),
    "process_request": ("the zip asks for an instance type that the policy does not allow", process_request),
    "train": ("the training job fails", train),
    "evaluate": ("a metric is outside its gate", evaluate),
    "register": ("AWS denies a call", register),
    "deploy_dev": ("CloudFormation rolls the stack back", deploy_dev),
    "test_dev": ("the model is worse than the live one", test_dev),
    "approve": ("an approver rejects the release", approve),
    "roll_back": ("the wanted release is gone", roll_back),
    "deploy_prd": ("nobody has approved the model package", deploy_prd),
    "test_prd": ("a row of the golden set is predicted wrongly", test_prd),
    "watch_trial": ("somebody has deleted the endpoint", watch_trial),
    "decide_trial": ("the figures of the trial are gone", decide_trial),
    "settle_trial": ("the model fails while it is promoted", settle_trial),
    "collect_garbage": ("the live model's artefact was deleted", collect_garbage),
}


class Kept:
    """A task instance that remembers the XCom of its error."""

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}

    def xcom_push(self, key: str, value: dict[str, Any]) -> None:
        assert key == task_errors.FAILURE
        self.value = value


def kept(work: Callable[[], object]) -> dict[str, Any]:
    """Let a task's work fail, and return what its error block keeps."""
    ti = Kept()
    with MonkeyPatch.context() as patch:
        patch.setattr(task_errors, "get_current_context", lambda: {"ti": ti})
        with raises(SlipwayError):
            work()
    return ti.value


def failure_of(dag: DAG, task_id: str) -> dict[str, Any]:
    """Return the XCom that a task of the release keeps when it fails in its way."""
    return kept(working(dag.get_task(task_id), CASES[task_id][1]))


def working(task: BaseOperator, fail: Case) -> Callable[[], object]:
    """Return what the task's worker calls, where the first thing that it does for the release is this."""
    # Wrapped by the operator's own base, as each of its classes is.
    failing = type("Failing", (type(task),), {"execute": lambda *_, **__: fail()})
    return lambda: failing.execute(task, {})
