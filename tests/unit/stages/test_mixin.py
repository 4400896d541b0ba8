"""What operators do at the gates: go on, wait without a worker, end because of a newer release."""

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from slipway.aws.sns import SnsPublishHook
from slipway.errors import AlreadyDecided, AwsError, SlipwayError, Superseded
from slipway.notices.send import Notices
from slipway.registry.record import Decision
from slipway.stages import mixin
from slipway.stages.gate import StageGate
from slipway.stages.mixin import StageMixin
from slipway.stages.wait import StageTrigger
from slipway.states import BoardStage, ExecutionMode, ModelApprovalStatus
from slipway.waiting.results import WaitOutcome, WaitResult
from tests.unit.releases import DIGEST, xcoms
from tests.unit.scripted_aws import MemoryStore
from tests.unit.stage_runs import MemoryDocuments, with_gate
from tests.unit.stages.test_gate import ticket
from tests.unit.task_runs import context

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/1"
AT = "2026-05-02T08:00:00+00:00"
REACHED = WaitResult(WaitOutcome.REACHED).to_event().payload


class Staged(StageMixin, BaseOperator):
    """Does nothing, at a stage."""

    aws_conn_id = None
    execution_mode = ExecutionMode.SUPERSEDED
    stage_poll_seconds = 2.0

    def execute(self, context):
        self.enter_stage(context, BoardStage.DEV)
        return "done"


class Registry:
    """Notes what is recorded, unless a decision stands."""

    def __init__(self) -> None:
        self.standing: Decision | None = None
        self.records: list = []

    def __call__(self, aws_conn_id):
        return self

    def keep_outside_decision(self, arn, digest):
        return self.standing

    def record_decision(self, arn, **record):
        if self.standing:
            raise AlreadyDecided("too late", resource=arn)
        self.records.append((arn, record))


class Run:
    """One release after the other at one board; Airflow says that all of them go on."""

    def __init__(self) -> None:
        self.documents = MemoryDocuments()
        self.operator = with_gate(Staged(task_id="deploy_dev"), self.documents)
        self.others = StageGate(self.documents, lambda dag_id, run_id: True)

    def newer(self, stage=BoardStage.DEV):
        """A newer release at a stage."""
        return ticket(1, stage)

    def older(self):
        return ticket(-(10**9))


@pytest.fixture
def run() -> Run:
    return Run()


@pytest.fixture
def registry(monkeypatch) -> Registry:
    registry = Registry()
    monkeypatch.setattr(mixin, "DecisionRecordHook", registry)
    return registry


def ctx(**more):
    made = context(xcoms(**more))
    made["ti"].pushed = {}
    made["ti"].xcom_push = lambda key, value: made["ti"].pushed.__setitem__(key, value)
    return made


def test_a_free_stage_is_entered_at_once(run):
    assert run.operator.execute(ctx()) == "done"
    # Run again, it is let in again.
    assert run.operator.execute(ctx()) == "done"


def test_a_stage_that_is_taken_is_waited_for_without_a_worker(run):
    run.others.enter(run.older())
    with pytest.raises(TaskDeferred) as deferral:
        run.operator.execute(ctx())
    trigger = deferral.value.trigger
    assert isinstance(trigger, StageTrigger)
    assert (trigger.ticket.stage, trigger.ticket.entry.run, trigger.poll_seconds) == (
        BoardStage.DEV,
        ("iris-model", "manual__1"),
        2.0,
    )
    run.others.leave(run.older())
    assert getattr(run.operator, deferral.value.method_name)(ctx(), REACHED) == "done"


def test_whoever_wakes_up_too_early_waits_again(run):
    run.others.enter(run.older())
    for _ in range(2):
        with pytest.raises(TaskDeferred):
            run.operator.execute_at_gate(ctx(), REACHED)


def test_a_refusal_by_aws_is_an_error_that_may_be_tried_again(run):
    event = WaitResult(WaitOutcome.REFUSED, reason="AccessDenied").to_event().payload
    with pytest.raises(AwsError, match="AccessDenied"):
        run.operator.execute_at_gate(ctx(), event)


def test_an_overtaken_release_is_skipped_and_says_by_which_run(run, registry):
    run.others.enter(run.newer())
    overtaken = ctx(register={"model_package_arn": ARN, "version": 1})
    with pytest.raises(Superseded, match=r"stage dev \(.*/dags/iris-model/runs/run1\).*new_attempt") as caught:
        run.operator.execute(overtaken)
    assert isinstance(caught.value, AirflowSkipException)
    assert overtaken["ti"].pushed == {"newer_release": {"dag_id": "iris-model", "run_id": "run1"}}
    ((arn, record),) = registry.records
    assert arn == ARN
    assert (record["approved"], record["decided_by"], record["how"]) == (False, "slipway", "superseded")
    assert "run1" in record["comment"]
    assert record["digest"] == DIGEST
    # Who has approved stays on record.
    assert "approvals" not in record


def test_the_news_of_an_overtaken_release_is_sent_once(run, registry, monkeypatch):
    sent = []
    monkeypatch.setattr(SnsPublishHook, "publish", lambda self, topic, **message: sent.append(message))
    run.operator.news = Notices("arn:aws:sns:us-west-2:123456789012:news")
    run.others.enter(run.newer())
    again = ctx(register={"model_package_arn": ARN, "version": 1}) | {"task_state_store": MemoryStore()}
    for _ in range(2):
        with pytest.raises(Superseded) as caught:
            run.operator.execute(again)
        assert caught.value.told
    (message,) = sent
    assert message["subject"] == "iris-model: superseded"
    for part in (
        "Version: v1",
        "Stage: ",
        "Why: A newer release has reached the stage dev",
        "Fix: to serve this version",
    ):
        assert part in message["message"]


def test_a_release_without_a_model_package_rejects_nothing(run, registry):
    run.others.enter(run.newer())
    with pytest.raises(Superseded):
        run.operator.execute(ctx(register=None))
    assert registry.records == []


@pytest.mark.parametrize("standing", [ModelApprovalStatus.APPROVED, ModelApprovalStatus.REJECTED])
def test_a_decision_that_stands_is_left_standing(run, registry, standing):
    registry.standing = Decision(standing, "alice", AT, "outside Airflow")
    run.others.enter(run.newer())
    with pytest.raises(Superseded):
        run.operator.execute(ctx(register={"model_package_arn": ARN, "version": 1}))
    assert run.operator.reject_package(ARN, DIGEST, "older") is (standing is ModelApprovalStatus.REJECTED)
    assert registry.records == []


def test_a_stage_that_was_left_is_free(run):
    run.operator.execute(ctx())
    run.operator.leave_stages(ctx(), BoardStage.DEV)
    assert run.others.enter(run.newer()).outcome == "entered"


@pytest.mark.parametrize(
    "error", [AwsError("Cannot read the document", transient=True), SlipwayError("The board cannot be written")]
)
def test_leaving_fails_no_task(run, error):
    class Away(MemoryDocuments):
        def read(self, bucket, key):
            raise error

    with_gate(run.operator, Away()).leave_stages(ctx(), BoardStage.DEV)


def test_a_newer_release_is_seen_by_who_asks(run):
    assert run.operator.overtaken(ctx(), BoardStage.APPROVE) is None
    run.others.enter(run.newer(BoardStage.APPROVE))
    assert run.operator.overtaken(ctx(), BoardStage.APPROVE).run_id == "run1"
