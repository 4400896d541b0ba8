"""The task approve: one record on the model package, whichever way the decision came."""

import hashlib
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import Mock
from uuid import uuid4

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from slipway import names, states
from slipway.approval import approve, asking
from slipway.approval.answers import DECIDED, QUESTION, Answer, Question
from slipway.approval.approve import HumanApprovalSensor
from slipway.approval.wait import ApprovalTrigger
from slipway.aws.placeholders import AwsIdentity
from slipway.errors import AlreadyDecided, NotApproved, PermanentError, Rejected, Superseded
from slipway.model.approval_rules import ONLY_STAGE, Approval, ApprovalStage, Rules
from slipway.notices.send import Message, Notice
from slipway.plan import STRESS_DEV, ReleasePlan, Revision
from slipway.registry.metadata import DIGEST, REVISION
from slipway.registry.record import Candidate, Decision, How
from slipway.request.contents import CONTENTS, contents_of
from slipway.states import Environment, ModelApprovalStatus
from tests.unit.releases import ARTEFACT
from tests.unit.request_samples import DictStore, changed, request_zip, training_job
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import signed_answer
from tests.unit.stage_runs import with_gate

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/1"
PLAN = ReleasePlan(
    prefix="iris-model",
    revision=Revision("b", "k", "v1", "etag", 1, "2025-05-01T12:00:00+00:00"),
    revision_id=names.revision_id("b", "k", "v1"),
    digest="d" * 64,
    sequence="2025-05-01T12:00:00+00:00",
    training_job_name="mlops-iris-model-1",
    request_uri="s3://b/r",
    model_package_group="mlops-iris-model",
    endpoint_prefix="iris-model",
    stacks={"dev": "a", "prd": "b"},
    endpoints={"dev": "a", "prd": "b"},
)
APPROVED, REJECTED = ModelApprovalStatus.APPROVED, ModelApprovalStatus.REJECTED
AT, NOW = "2025-05-02T07:59:00+00:00", "2025-05-02T08:00:00+00:00"
ONE = Rules((ApprovalStage(ONLY_STAGE, ("alice", "carol")),))
TWO_STAGES = Rules((ApprovalStage("science", ("alice", "carol", "erin"), 2), ApprovalStage("operations", ("olaf",))))
DAY = 86400


class Registry:
    """One model package; the first decision on it stands."""

    def __init__(self, standing: Decision | None = None) -> None:
        self.standing, self.records, self.late = standing, [], []
        self.approvals, self.said, self.partial = [], "", []

    def keep_outside_decision(self, arn, digest):
        assert (arn, digest) == (ARN, PLAN.digest)
        return self.standing

    def candidate(self, arn, digest):
        return Candidate(arn, digest, "a" * 64)

    def describe_model_package(self, arn):
        containers = [{"Image": "image", "ModelDataUrl": ARTEFACT.uri}]
        return {
            "ModelPackageArn": arn,
            "InferenceSpecification": {"Containers": containers},
            "CustomerMetadataProperties": ARTEFACT.properties(),
        }

    def undecided(self, arn, digest):
        return list(self.approvals), self.said

    def record_approvals(self, arn, approvals, *, comment, digest):
        assert (arn, digest) == (ARN, PLAN.digest)
        self.approvals, self.said = list(approvals), comment
        self.partial.append([one.by for one in approvals])

    def record_decision(self, arn, *, approved, decided_by, how, comment, digest, decided_at, approvals):
        assert (arn, digest) == (ARN, PLAN.digest)
        approvals = self.approvals if approvals is None else approvals
        if self.standing:
            raise AlreadyDecided("too late", resource=arn)
        status = APPROVED if approved else REJECTED
        self.standing = decision(status, decided_by, how, comment, tuple(approvals), decided_at or NOW)
        self.records.append(self.standing)
        return self.standing

    def record_late_answer(self, arn, answer, *, digest):
        self.late.append(answer)


class Production:
    """SageMaker with one endpoint."""

    def describe_endpoint(self, name):
        assert name == PLAN.endpoint(Environment.PRODUCTION)
        variant = {"VariantName": "model-a", "CurrentInstanceCount": 2, "DesiredInstanceCount": 2}
        return {"EndpointConfigName": "c", "ProductionVariants": [variant]}

    def describe_endpoint_config(self, name):
        return {"ProductionVariants": [{"VariantName": "model-a", "InstanceType": "ml.c5.xlarge"}]}


class Notices:
    """Remembers what it was told to send; refuses while broken."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.broken = False

    def send(self, message, context, aws_conn_id):
        if not self.broken and message.key not in [one.key for one in self.sent]:
            self.sent.append(message)
        return not self.broken

    @property
    def kinds(self) -> list[Notice]:
        return [message.notice for message in self.sent]


def decision(status=APPROVED, who="erin", how="SageMaker", comment="", approvals=(), at=NOW) -> Decision:
    return Decision(status, who, at, how, comment, approvals)


AIRFLOW = "arn:aws:sts::123456789012:assumed-role/slipway-airflow/worker-1"


class Gate(HumanApprovalSensor):
    """The sensor with the registry and the S3 of the test."""

    registry = None
    uploads = DictStore({("b", "k", "v1"): b""}, {("b", "k", "v1"): "dave"})


@pytest.fixture
def asked(monkeypatch):
    """The questions put to Airflow, in order."""
    questions = []
    monkeypatch.setattr(approve, "identity", lambda aws_conn_id: AwsIdentity("123456789012", "r", arn=AIRFLOW))
    monkeypatch.setattr(asking, "put_question", lambda **detail: questions.append(detail))
    return questions


def gate(registry: Registry, rules: Rules = ONE, notices: Notices | None = None, **kwargs) -> Gate:
    made = Gate(task_id="approve", rules=rules, home_bucket="b", subject="Shall it?", aws_conn_id=None, **kwargs)
    made.notices = made.news = notices or Notices()
    # Airflow keeps operators from new attributes of their class's properties.
    type(made).registry, type(made).sagemaker = registry, Production()
    return with_gate(made)


def context(store=None) -> dict:
    xcoms = {
        "process_request": PLAN.to_xcom(),
        "register": {"model_package_arn": ARN, "version": 1},
        "evaluate": {"metrics": {"validation:merror": 0.04}, "gates": [], "live": None},
    }
    ti = SimpleNamespace(
        id=uuid4(),
        dag_id="iris-model",
        run_id="s3__1",
        task_id="approve",
        xcom_pull=lambda task_ids, key=None: xcoms.get(key or task_ids),
        xcom_push=lambda key, value: xcoms.update({key: value}),
        xcoms=xcoms,
    )
    return {
        "ti": ti,
        "task_instance": ti,
        "dag_run": ti,
        "task_state_store": MemoryStore() if store is None else store,
    }


def open_question(number=0, at=5.0, arn=ARN, approvals=()) -> MemoryStore:
    """The store of a task that has asked."""
    question = Question(at, arn, number, tuple(approvals), "dave", PLAN.digest, "a" * 64)
    return MemoryStore(**{QUESTION: question.to_json()})


def approval(who, stage=ONLY_STAGE) -> Approval:
    return Approval(by=who, at=AT, how="Airflow", stage=stage)


def answer(store: MemoryStore, approve=True, who="alice", *, how=How.AIRFLOW, comment="", stage=ONLY_STAGE) -> None:
    """What the API server writes down when it lets somebody answer the open question."""
    question = Question.from_json(store.get(QUESTION))
    given = Answer(approve, who, AT, how, comment, stage if approve else "", question.model_package_arn)
    assert store.get(question.answer_key) is None
    store.set(question.answer_key, signed_answer(given, question, context()["ti"]))


def wait(made: Gate, store: MemoryStore, event: dict | None = None) -> ApprovalTrigger:
    """Run the task until it waits; gives its trigger."""
    with pytest.raises(TaskDeferred) as deferral:
        made.execute(context(store)) if event is None else made.execute_complete(context(store), event)
    assert deferral.value.timeout is None
    return deferral.value.trigger


def test_it_does_not_ask_where_nobody_can_tell_who_must_not_approve(asked):
    made = gate(Registry(), replace(ONE, allow_uploader=False))
    made.__class__ = type("Gone", (type(made),), {"uploads": DictStore()})
    with pytest.raises(NotApproved, match="It is unknown who uploaded this model"):
        made.execute(context())
    assert asked == []


def test_it_asks_the_approvers_and_waits_deferred(asked):
    registry, store = Registry(), MemoryStore()
    trigger = wait(gate(registry), store)
    (question,) = asked
    assert question["options"] == ["Approve", "Reject"]
    # By ids, which Airflow compares, the right person may never match. The guard compares names.
    assert "assigned_users" not in question
    assert "alice, carol" in question["body"]
    assert list(question["params"]) == ["comment"]
    # Else the screen's buttons stay disabled until something is typed.
    assert "null" in question["params"]["comment"]["schema"]["type"]
    assert "validation:merror" in question["body"]
    # The bytes that are approved are those of the package, whatever a task has said.
    assert ARTEFACT.sha256 in question["body"]
    assert "defaults" not in question
    assert (trigger.model_package_arn, trigger.ti_id) == (ARN, str(question["ti_id"]))
    assert Question.from_json(store.get(QUESTION)).uploader == "dave"
    assert registry.records == []
    assert "Stress test" not in question["body"]


def test_it_says_first_what_approve_does_and_until_when(asked):
    wait(gate(Registry(), strategy="all at once"), MemoryStore())
    (question,) = asked
    assert question["subject"] == "iris-model v1: Shall it?"
    assert question["body"].startswith("**Approve:** Version 1 becomes the first model in production")
    assert "**Reject:** This release ends, and production stays empty." in question["body"]
    (until,) = re.findall(r"waits until (\S+)\.", question["body"])
    assert datetime.fromisoformat(until).utcoffset() == timedelta(0)


def comparing(asked, ours: bytes, theirs: bytes | None, digest: str | None = None) -> str:
    """The screen of a release beside a live one, of which S3 has a copy."""
    live = f"{ARN[:-1]}7"
    xcoms = {"evaluate": {"metrics": {}, "gates": [], "live": {"model_package_arn": live, "metrics": {}}}}
    properties = {REVISION: "r" * 32, DIGEST: digest or hashlib.sha256(theirs or b"").hexdigest()}

    class WithLive(Registry):
        def describe_model_package(self, arn):
            described = super().describe_model_package(arn)
            return described | {"CustomerMetadataProperties": properties} if arn == live else described

    made = gate(WithLive(), strategy="all at once")
    key = names.request_key(PLAN.prefix, "r" * 32)
    store = DictStore({("b", key, None): theirs} if theirs else {})
    made.__class__ = type("Compared", (type(made),), {"uploads": store})
    given = context()
    given["ti"].xcoms.update(xcoms, **{CONTENTS: contents_of(ours).to_xcom()})
    with pytest.raises(TaskDeferred):
        made.execute(given)
    return asked[0]["body"]


def test_what_differs_from_the_live_zip_is_shown(asked):
    job = changed(changed(training_job(), "HyperParameters.max_depth", "7"), "HyperParameters.secret", "hunter2")
    body = comparing(asked, request_zip(job), request_zip())
    assert body.startswith(
        "**Approve:** Version 1 takes the place of version 7 in production, for all requests, all at once. "
        "Production runs 2 x ml.c5.xlarge for an estimated $0.41 an hour, as now. "
        "Auto scaling then keeps 2 to 10 instances of each variant.\n\n"
    )
    assert "### Changes against version 7" in body
    assert "| Hyperparameters | `max_depth` | `7` | `10` |" in body
    assert "| Hyperparameters | `secret` | `not shown, mark " in body
    assert "hunter2" not in body
    assert "`objective`" not in body


def test_the_same_zip_is_said_to_be_the_same(asked):
    said = comparing(asked, request_zip(), request_zip())
    assert "None: this is the same zip as what is live, with the same image." in said


@pytest.mark.parametrize(("theirs", "digest"), [(None, None), (request_zip(), "f" * 64), (b"no zip", None)])
def test_a_live_zip_that_cannot_be_read_is_said_to_be_unknown(asked, theirs, digest):
    body = comparing(asked, request_zip(), theirs, digest)
    assert "Not known: the zip of one of the two cannot be read." in body
    assert "takes the place of version 7" in body


def test_a_stress_test_that_was_marked_is_told_to_the_approvers(asked):
    with DAG("iris-model"):
        made = gate(Registry())
        EmptyOperator(task_id=STRESS_DEV) >> made
    wait(made, MemoryStore())
    assert "No result" in asked[0]["body"]


def test_a_second_attempt_neither_erases_an_answer_nor_grants_the_time_anew(asked):
    store = MemoryStore()
    assert wait(gate(Registry(), timeout_days=2), store).deadline == store.entries[QUESTION]["at"] + 2 * DAY
    store.entries[QUESTION]["at"] = time.time() - DAY
    assert wait(gate(Registry(), timeout_days=2), store).deadline == store.entries[QUESTION]["at"] + 2 * DAY
    assert len(asked) == 1


def test_a_question_that_is_gone_is_asked_again_within_the_same_time(asked):
    trigger = wait(gate(Registry(), timeout_days=2), open_question(at=5.0), {"outcome": "unasked"})
    assert len(asked) == 1
    assert trigger.deadline == 5.0 + 2 * DAY


def test_another_model_package_is_another_question(asked):
    store = open_question(arn="arn:other")
    answer(store)
    wait(gate(Registry()), store)
    question = Question.from_json(store.get(QUESTION))
    assert (question.model_package_arn, question.number) == (ARN, 1)
    assert question.at > 5.0


def test_an_answer_is_recorded_with_name_way_and_comment(asked):
    registry, store = Registry(), open_question()
    answer(store, comment="fine by me")
    xcom = gate(registry).execute_complete(context(store), {"chosen_options": ["Reject"]})
    assert registry.records == [decision(APPROVED, "alice", "Airflow", "fine by me", (approval("alice"),), AT)]
    assert xcom == {
        "decision": "Approved",
        "decided_by": "alice",
        "decided_at": AT,
        "how": "Airflow",
        "comment": "fine by me",
        "approvals": [{"by": "alice", "at": AT, "how": "Airflow", "stage": ONLY_STAGE}],
    }
    assert store.get(DECIDED)["decided_by"] == "alice"


class CountingStore(MemoryStore):
    """A state store that notes what is read: each time is a request to Airflow's API server."""

    def __init__(self, **entries) -> None:
        super().__init__(**entries)
        self.read: list[str] = []

    def get(self, key, default=None):
        self.read.append(key)
        return super().get(key, default)


@pytest.mark.parametrize("former", [0, 3])
def test_a_process_reads_nothing_of_its_state_twice(asked, former):
    """A new question begins at the number of the one before: the former answers are not read."""
    store = CountingStore(**open_question(former, arn="another package").entries if former else {})
    ctx, pulled = context(store), []
    pull = ctx["ti"].xcom_pull
    ctx["ti"].xcom_pull = lambda task_ids, key=None: pulled.append(key or task_ids) or pull(task_ids, key)
    with pytest.raises(TaskDeferred):
        gate(Registry()).execute(ctx)
    assert store.read == [QUESTION, f"answer/{former}", DECIDED]
    assert sorted(pulled) == ["evaluate", "process_request", "register", "slipway_contents", "test_dev"]
    answer(store)
    store.read.clear()
    gate(Registry()).execute_complete(context(store), {"chosen_options": ["Approve"]})
    assert store.read == [QUESTION, DECIDED, f"answer/{former}"]


@pytest.mark.parametrize("event", [None, {"outcome": "timeout"}, {"outcome": "unasked"}, {"outcome": "notice"}])
def test_an_answer_counts_whatever_became_of_the_attempt_that_waited_for_it(asked, event):
    registry, store = Registry(), open_question()
    answer(store)
    made = gate(registry)
    made.execute(context(store)) if event is None else made.execute_complete(context(store), event)
    assert [one.decided_by for one in registry.records] == ["alice"]
    assert asked == []


def test_reject_is_recorded_and_fails_without_a_retry(asked):
    registry, store = Registry(), open_question()
    answer(store, False, how=How.MARKED_FAILED, comment="not now")
    with pytest.raises(Rejected, match=r"alice rejected.*not now") as caught:
        gate(registry).execute_complete(context(store), {"outcome": "answered"})
    assert isinstance(caught.value, AirflowFailException)
    assert registry.records == [decision(REJECTED, "alice", "marked failed in Airflow", "not now", at=AT)]


def test_an_answer_that_the_guard_has_not_let_through_is_none(asked, capsys):
    registry, store = Registry(), open_question()
    wait(gate(registry), store, {"chosen_options": ["Approve"], "responded_by_user": {"id": "bob", "name": "bob"}})
    assert registry.records == []
    assert len(asked) == 1
    assert "must load Slipway's plugin" in capsys.readouterr().out


def test_an_answer_given_while_the_question_is_put_again_is_not_erased(monkeypatch):
    registry, store = Registry(), open_question()
    monkeypatch.setattr(asking, "put_question", lambda **detail: answer(store))
    gate(registry).execute_complete(context(store), {"outcome": "unasked"})
    assert [one.decided_by for one in registry.records] == ["alice"]


def test_no_answer_in_time_is_a_rejection(asked):
    registry = Registry()
    with pytest.raises(Rejected, match="No answer within 7 days"):
        gate(registry).execute_complete(context(open_question()), {"outcome": "timeout"})
    assert registry.records == [decision(REJECTED, "slipway", "timeout", "No answer within 7 days")]


def test_a_newer_release_takes_the_question_away(asked):
    registry, notices = Registry(), Notices()
    made, ctx = gate(registry, notices=notices), context(open_question())
    mine = made.ticket(ctx, states.BoardStage.APPROVE)
    later = replace(mine.entry, run_id="s3__2", revision_id="f" * 32, sequence=datetime.now(UTC).isoformat())
    made.gate.enter(replace(mine, entry=later))
    with pytest.raises(Superseded, match="s3__2"):
        made.execute_complete(ctx, {"outcome": "superseded"})
    (record,) = registry.records
    assert (record.decision, record.decided_by, record.how) == (REJECTED, "slipway", "superseded")
    assert "s3__2" in record.comment
    assert notices.kinds == [Notice.SUPERSEDED]
    assert ctx["task_state_store"].get(DECIDED)["decided_by"] == "slipway"


def test_the_question_stays_open_until_the_last_stage_is_complete(asked):
    registry, store = Registry(), MemoryStore()
    made = gate(registry, TWO_STAGES)
    wait(made, store)
    answer(store, who="alice", stage="science", comment="good")
    wait(made, store, {"outcome": "answered"})
    answer(store, who="erin", stage="science")
    wait(made, store, {"outcome": "answered"})
    assert registry.partial == [["alice"], ["alice", "erin"]]
    assert registry.standing is None
    assert "olaf must approve" in asked[-1]["body"]
    assert "`alice` approved" in asked[-1]["body"]
    answer(store, who="olaf", stage="operations", comment="go")
    xcom = made.execute_complete(context(store), {"outcome": "answered"})
    assert (xcom["decision"], xcom["decided_by"]) == ("Approved", "alice and erin and olaf")
    assert [(one["by"], one["stage"]) for one in xcom["approvals"]] == [
        ("alice", "science"),
        ("erin", "science"),
        ("olaf", "operations"),
    ]
    assert (registry.standing.comment, len(registry.records)) == ("alice: good; olaf: go", 1)


def test_a_rejection_ends_it_whatever_was_approved(asked):
    registry, store = Registry(), MemoryStore()
    made = gate(registry, TWO_STAGES)
    wait(made, store)
    answer(store, who="alice", stage="science")
    wait(made, store, {"outcome": "answered"})
    answer(store, False, who="olaf", comment="no")
    with pytest.raises(Rejected, match="olaf"):
        made.execute_complete(context(store), {"outcome": "answered"})
    assert registry.standing.approvals == (approval("alice", "science"),)


def test_an_approval_recorded_by_an_attempt_that_was_killed_counts_once(asked):
    registry, store = Registry(), open_question()
    registry.approvals, registry.said = [approval("alice", "science")], "good"
    answer(store, who="alice", stage="science", comment="good")
    wait(gate(registry, TWO_STAGES), store)
    assert (registry.partial, registry.said) == ([["alice"]], "good")


def test_approvals_outlive_their_run(asked):
    registry, store = Registry(), MemoryStore()
    registry.approvals = [approval("alice", "science")]
    wait(gate(registry, TWO_STAGES), store)
    assert Question.from_json(store.get(QUESTION)).approvals == (approval("alice", "science"),)


def test_a_decision_made_in_the_registry_counts(asked):
    event = {"outcome": "recorded"}
    assert gate(Registry(decision())).execute_complete(context(open_question()), event)["decided_by"] == "erin"
    with pytest.raises(Rejected, match="erin"):
        gate(Registry(decision(REJECTED))).execute_complete(context(open_question()), event)


def test_a_decision_withdrawn_before_it_was_taken_is_waited_for_again(asked):
    made = gate(Registry(), timeout_days=2)
    assert wait(made, open_question(at=5.0), {"outcome": "recorded"}).deadline == 5.0 + 2 * DAY


def test_a_decision_withdrawn_later_is_asked_for_anew(asked):
    registry, store = Registry(), open_question()
    answer(store)
    gate(registry).execute(context(store))
    registry.standing = None
    wait(gate(registry), store)
    question = Question.from_json(store.get(QUESTION))
    assert (question.number, store.get(DECIDED), len(asked)) == (1, None, 1)
    assert question.at > 5.0


def test_an_attempt_that_is_killed_while_it_asks_again_brings_no_former_answer_back(asked, monkeypatch):
    registry, store = Registry(), open_question()
    answer(store)
    gate(registry).execute(context(store))
    registry.standing = None
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(store, "delete", Mock(side_effect=KeyboardInterrupt))
        gate(registry).execute(context(store))
    wait(gate(registry), store)
    assert (registry.standing, store.get(QUESTION)["number"], store.get(DECIDED)) == (None, 1, None)


def test_a_standing_decision_is_not_asked_for_again(asked):
    assert gate(Registry(decision())).execute(context())["decision"] == "Approved"
    with pytest.raises(Rejected):
        gate(Registry(decision(REJECTED))).execute(context())
    assert asked == []


def test_the_first_decision_stands_and_the_late_one_is_on_record(asked, capsys):
    registry, store = Registry(decision()), open_question()
    answer(store, False, "carol", comment="wait!")
    xcom = gate(registry).execute_complete(context(store), {"outcome": "recorded"})
    assert (xcom["decision"], xcom["decided_by"]) == ("Approved", "erin")
    assert "wait!" in capsys.readouterr().out
    assert registry.late == [f"carol rejected it at {AT} (Airflow)"]
    store = open_question()
    answer(store)
    with pytest.raises(Rejected, match="erin"):
        gate(Registry(decision(REJECTED))).execute_complete(context(store), {"outcome": "answered"})


def test_an_answer_that_made_the_decision_is_not_late(asked):
    registry, store = Registry(decision(APPROVED, "alice", "Airflow", "", (approval("alice"),))), open_question()
    answer(store)
    gate(registry).execute(context(store))
    assert registry.late == []


FORGERIES = {
    "unsigned": lambda value: {**value, "proof": ""},
    "somebody else's name": lambda value: {**value, "by": "carol"},
    "an approval made of a rejection": lambda value: {**value, "approve": not value["approve"]},
    "an answer without fields": lambda value: {"approve": True, "by": "alice"},
    "no answer at all": lambda value: "yes",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_an_answer_that_the_guard_has_not_signed_is_ignored_and_the_question_put_anew(asked, forge, capsys):
    registry, store = Registry(), open_question()
    answer(store)
    store.set("answer/0", forge(store.get("answer/0")))
    wait(gate(registry), store, {"outcome": "answered"})
    assert (registry.records, store.get(QUESTION)["number"], len(asked)) == ([], 1, 2)
    assert "has not signed it" in capsys.readouterr().out
    # The answer to the question that took its place counts.
    answer(store, who="carol")
    gate(registry).execute_complete(context(store), {"outcome": "answered"})
    assert [one.decided_by for one in registry.records] == ["carol"]


def test_an_answer_to_another_question_or_of_another_run_is_ignored(asked):
    for other in ({"number": 1}, {"digest": "e" * 64}, {"artefact": "b" * 64}):
        registry, store = Registry(), open_question()
        answer(store)
        given = store.get("answer/0")
        store.set(QUESTION, {**store.get(QUESTION), **other})
        store.set(Question.from_json(store.get(QUESTION)).answer_key, given)
        wait(gate(registry), store, {"outcome": "answered"})
        assert registry.records == []
    other = context(open_question())
    other["ti"].run_id = "s3__2"
    question = Question.from_json(other["task_state_store"].get(QUESTION))
    given = Answer(True, "alice", AT, How.AIRFLOW, "", ONLY_STAGE, ARN)
    other["task_state_store"].set(question.answer_key, signed_answer(given, question, context()["ti"]))
    registry = Registry()
    with pytest.raises(TaskDeferred):
        gate(registry).execute_complete(other, {"outcome": "answered"})
    assert registry.records == []


@pytest.mark.parametrize(
    ("standing", "why"),
    [
        (decision(APPROVED, "alice", "Airflow"), "signature of Airflow's API server"),
        (decision(APPROVED, AIRFLOW), "Airflow itself and no person"),
    ],
)
def test_an_approval_on_record_that_nobody_can_prove_fails_with_what_to_do(asked, standing, why):
    with pytest.raises(NotApproved, match=rf"{why}.*PendingManualApproval"):
        gate(Registry(standing)).execute(context(open_question()))


def test_a_record_that_aws_does_not_show_fails_with_the_reason(asked):
    with pytest.raises(PermanentError, match="AccessDenied"):
        gate(Registry()).execute_complete(context(), {"outcome": "refused", "reason": "AccessDenied"})


def test_without_a_registered_model_there_is_nothing_to_decide(asked):
    ctx = context()
    del ctx["ti"].xcoms["register"]
    with pytest.raises(PermanentError, match="clear register"):
        gate(Registry()).execute(ctx)


def test_approvers_are_told_when_asked_at_half_time_and_when_it_is_decided(asked):
    notices, store = Notices(), MemoryStore()
    notices.topic = "t"
    made = gate(Registry(), notices=notices, timeout_days=2)
    trigger = wait(made, store)
    assert notices.kinds == [Notice.WANTED]
    assert notices.sent[0].link.endswith("/dags/iris-model/runs/s3__1/tasks/approve/required_actions")
    assert "alice, carol" in notices.sent[0].reason
    assert trigger.notice_at == store.entries[QUESTION]["at"] + DAY
    store.entries[QUESTION]["at"] = time.time() - 1.5 * DAY
    assert wait(made, store, {"outcome": "notice"}).notice_at is None
    assert Notice.REMINDER in notices.kinds
    answer(store)
    made.execute_complete(context(store), {"outcome": "answered"})
    assert notices.kinds[-1] is Notice.APPROVED


def test_what_could_not_be_told_is_tried_again_and_keeps_nobody_waiting(asked):
    notices, store = Notices(), MemoryStore()
    notices.broken = True
    made = gate(Registry(), notices=notices)
    first = wait(made, store)
    assert time.time() < first.notice_at < time.time() + 3600
    notices.broken = False
    assert wait(made, store, {"outcome": "notice"}).notice_at == store.entries[QUESTION]["at"] + 3.5 * DAY
    assert notices.kinds == [Notice.WANTED]


def test_the_form_has_a_comment_and_none_of_the_dags_params():
    with DAG("d", params={"bucket": Param("b", type="string")}):
        made = HumanApprovalSensor(task_id="approve", rules=ONE, home_bucket="b", subject="?")
    assert list(made.serialized_params) == ["comment"]
    assert made.defaults is None
    assert made.retries == 3
    assert "rules" in made.template_fields
