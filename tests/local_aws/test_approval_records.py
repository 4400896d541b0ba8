"""Approvals as the Model Registry and SNS get them from the task approve; the oracle is the call ledger."""

import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.approval import asking
from slipway.approval.answers import QUESTION, Answer, Question
from slipway.approval.approve import HumanApprovalSensor
from slipway.approval.wait import ApprovalTrigger
from slipway.aws.sns import SnsPublishHook
from slipway.errors import AwsError, Rejected
from slipway.model.approval_rules import ONLY_STAGE, ApprovalStage, Rules
from slipway.notices.send import Notices
from slipway.plan import ReleasePlan
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import DIGEST, REVISION
from slipway.registry.record import How, approvals_of, decision_of
from tests.cfn.stacks import unique
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.sagemaker_cases import IMAGE
from tests.local_aws.server import ACCOUNT, FROM_SERVICES, REGION, LocalAws
from tests.unit.releases import release_plan
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import signed_answer
from tests.unit.task_runs import first_event

pytestmark = pytest.mark.local_aws
ONE = Rules((ApprovalStage(ONLY_STAGE, ("alice", "carol")),))
STAGES = Rules((ApprovalStage("science", ("alice", "carol", "erin"), 2), ApprovalStage("operations", ("olaf",))))
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:slipway-releases"


@pytest.fixture
def aws(local_aws, monkeypatch) -> LocalAws:
    lead_hooks_to(local_aws.endpoint_url, monkeypatch)
    monkeypatch.setattr(asking, "put_question", lambda **detail: None)
    return local_aws


class Release:
    """A registered model, its approval's state store, and the people who answer."""

    def __init__(self, aws: LocalAws, rules: Rules, **sensor) -> None:
        self.aws, self.plan, self.store = aws, release_plan(), MemoryStore()
        group, hook = unique("approval"), ModelRegistryHook()
        hook.ensure_model_package_group(group, description="test", tags={})
        container = {"Image": IMAGE, "ModelDataUrl": "s3://b/k"}
        types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
        self.arn = hook.create_model_package(
            {
                "ModelPackageGroupName": group,
                "ModelApprovalStatus": "PendingManualApproval",
                "InferenceSpecification": {"Containers": [container], **types},
                "CustomerMetadataProperties": {DIGEST: self.plan.digest, REVISION: self.plan.revision_id},
            }
        )
        self.sensor = HumanApprovalSensor(
            task_id="approve", rules=rules, home_bucket="b", subject="Shall it?", poll_seconds=0.2, **sensor
        )

    def context(self) -> dict:
        plan: ReleasePlan = self.plan
        xcoms = {"process_request": plan.to_xcom(), "register": {"model_package_arn": self.arn}}
        ti = SimpleNamespace(id=uuid4(), dag_id="iris-model", run_id="r", task_id="approve")
        ti.xcom_pull = lambda task_ids, key=None: None if key else xcoms.get(task_ids)
        return {"ti": ti, "task_instance": ti, "dag_run": ti, "task_state_store": self.store}

    def waits(self, outcome: str | None = None) -> ApprovalTrigger:
        with pytest.raises(TaskDeferred) as deferral:
            self.resume(outcome)
        return deferral.value.trigger

    def resume(self, outcome: str | None = None) -> dict:
        if outcome is None:
            return self.sensor.execute(self.context())
        return self.sensor.execute_complete(self.context(), {"outcome": outcome})

    def answer(self, who: str, approve: bool = True, stage: str = ONLY_STAGE, comment: str = "") -> None:
        question = Question.from_json(self.store.get(QUESTION))
        at = datetime.now(UTC).isoformat(timespec="seconds")
        given = Answer(approve, who, at, How.AIRFLOW, comment, stage if approve else "", self.arn)
        self.store.set(question.answer_key, signed_answer(given, question, self.context()["ti"]))

    def package(self) -> dict:
        return self.aws.client("sagemaker").describe_model_package(ModelPackageName=self.arn)

    def updates(self) -> int:
        calls = self.aws.ledger(operation="UpdateModelPackage", outcome="ok")
        return sum(self.arn in str(call["resource"]) for call in calls)


def test_stages_are_kept_one_by_one_and_approve_at_the_last(aws):
    release = Release(aws, STAGES)
    release.waits()
    for number, (who, stage) in enumerate((("alice", "science"), ("erin", "science")), 1):
        release.answer(who, stage=stage, comment=f"{who}'s comment")
        release.waits("answered")
        package = release.package()
        assert package["ModelApprovalStatus"] == "PendingManualApproval"
        assert [approval.by for approval in approvals_of(package)] == ["alice", "erin"][:number]
    release.answer("olaf", stage="operations")
    assert release.resume("answered")["decided_by"] == "alice and erin and olaf"
    package = release.package()
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ApprovalDescription"] == "alice: alice's comment; erin: erin's comment"
    decision = decision_of(package)
    assert [(one.by, one.stage) for one in decision.approvals] == [
        ("alice", "science"),
        ("erin", "science"),
        ("olaf", "operations"),
    ]
    assert STAGES.shortfall(decision.approvals, None) is None
    assert release.updates() == 3


def test_an_attempt_that_died_anywhere_is_repeated_without_a_second_record(aws):
    release = Release(aws, ONE)
    release.waits()
    release.answer("alice", comment="fine")
    first = release.resume("answered")
    record = release.package()["CustomerMetadataProperties"]
    # What a new attempt does after the one that recorded was killed.
    assert release.resume() == first
    assert release.package()["CustomerMetadataProperties"] == record
    assert release.updates() == 1


def test_an_answer_after_a_decision_in_the_registry_is_kept_beside_it(aws):
    release = Release(aws, ONE)
    trigger = release.waits()
    aws.client("sagemaker").update_model_package(ModelPackageArn=release.arn, ModelApprovalStatus="Approved")

    async def nobody_answered():
        return None

    trigger.answer = nobody_answered
    assert first_event(trigger) == {"outcome": "recorded"}
    release.answer("carol", approve=False)
    assert release.resume("recorded")["how"] == "SageMaker"
    package = release.package()
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["CustomerMetadataProperties"]["slipway-late-answer"].startswith("carol rejected it at ")


def test_a_decision_withdrawn_in_the_registry_starts_over(aws):
    release = Release(aws, STAGES)
    release.waits()
    for who in ("alice", "erin"):
        release.answer(who, stage="science")
        release.waits("answered")
    release.answer("olaf", approve=False)
    with pytest.raises(Rejected):
        release.resume("answered")
    pending = "PendingManualApproval"
    aws.client("sagemaker").update_model_package(ModelPackageArn=release.arn, ModelApprovalStatus=pending)
    release.waits()
    assert approvals_of(release.package()) == []
    release.answer("carol", stage="science")
    release.waits("answered")
    assert [approval.by for approval in approvals_of(release.package())] == ["carol"]


def published(aws: LocalAws, outcome: str = "ok") -> int:
    return len([call for call in aws.ledger(service="sns", operation="Publish") if call["outcome"] == outcome])


def test_the_topic_is_told_once_of_each_step_with_the_link(aws):
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName=unique("told"), Attributes=FROM_SERVICES)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = aws.client("sns").subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    before = published(aws)
    told = Notices("arn:aws:sns:{region}:{account}:slipway-releases")
    release = Release(aws, ONE, notices=told, news=told, timeout_days=2)
    release.waits()
    release.waits()
    assert published(aws) == before + 1
    release.store.entries[QUESTION]["at"] = time.time() - 1.5 * 86400
    release.waits("notice")
    release.waits("notice")
    release.answer("alice", approve=False, comment="too slow")
    with pytest.raises(Rejected):
        release.resume("answered")
    aws.client("sns").unsubscribe(SubscriptionArn=subscription)

    messages = []
    while received := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        messages += [json.loads(one["Body"]) for one in received]
        for one in received:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
    subjects = [one["Subject"] for one in messages]
    assert subjects.count("iris-model: decision still wanted") == 1
    assert subjects[-1] == "iris-model: rejected"
    assert "rejected" in messages[-1]["Message"].lower() and "too slow" in messages[-1]["Message"]
    assert messages[0]["Subject"] == "iris-model: decision wanted"
    assert messages[0]["Message"].endswith("/dags/iris-model/runs/r/tasks/approve/required_actions")
    assert messages[0]["MessageAttributes"]["model"]["Value"] == "iris-model"


def test_a_topic_that_refuses_keeps_nothing_waiting(aws):
    release = Release(aws, ONE, notices=Notices(f"{TOPIC}-that-is-not-there"))
    assert release.waits().notice_at > time.time()
    release.answer("alice")
    assert release.resume("answered")["decision"] == "Approved"
    with pytest.raises(AwsError, match="publish to the topic"):
        SnsPublishHook().publish(f"{TOPIC}-that-is-not-there", subject="s", message="m", attributes={"a": "b"})
