"""The task decide_trial: one verdict on the model package, by an approver's answer or by the rule."""

import re
from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.approval import asking
from slipway.approval.answers import DECIDED, QUESTION, Answer, Question
from slipway.errors import PermanentError, Superseded
from slipway.model.approval_rules import Rules
from slipway.model.config import ModelConfig
from slipway.notices.send import Notice, Notices
from slipway.registry.record import Candidate, How
from slipway.stages.board import Entry
from slipway.states import TrialOutcome, TrialVerdict
from slipway.trial.decide import TrialDecisionSensor
from slipway.trial.figures import TrialComparison, VariantFigures
from slipway.trial.record import TrialRecord
from slipway.trial.wait import TrialDecisionTrigger
from tests.unit.releases import DIGEST, xcoms
from tests.unit.request_samples import BUCKET, KEY, DictStore, iris_model
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import signed_answer
from tests.unit.stage_runs import with_gate

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/1"
AT = "2026-05-02T08:00:00+00:00"
FIGURES = TrialComparison(VariantFigures(1000, 1, 8.0, 20.0), VariantFigures(100, 0, 8.0, 20.0), "then", "now")


class Told(Notices):
    """Takes messages."""

    def __init__(self) -> None:
        super().__init__("a topic")
        object.__setattr__(self, "sent", [])

    def send(self, message, context, aws_conn_id) -> bool:
        self.sent.append(message)
        return True


class Records:
    """One model package."""

    def __init__(self, standing: TrialRecord | None = None) -> None:
        self.standing, self.written, self.outcomes = standing, [], []

    def candidate(self, arn, digest):
        return Candidate(arn, digest, "a" * 64)

    def trial_record(self, arn, digest):
        assert (arn, digest) == (ARN, DIGEST)
        return self.standing

    def record_verdict(self, arn, record, figures, *, digest):
        assert (arn, figures, digest) == (ARN, FIGURES, DIGEST)
        if not (self.standing and self.standing.stands):
            self.standing = record
            self.written.append(record)
        return self.standing

    def record_outcome(self, arn, outcome, why="", *, digest):
        self.outcomes.append((outcome, why))


@pytest.fixture
def asked(monkeypatch):
    """The questions put to Airflow, in order."""
    questions = []
    monkeypatch.setattr(asking, "put_question", lambda **detail: questions.append(detail))
    return questions


def sensor(records: Records, newer: Entry | None = None, **trial) -> TrialDecisionSensor:
    class Sensor(TrialDecisionSensor):
        """With the registry of the test."""

        def overtaken(self, context, stage):
            return newer

    Sensor.records = records
    Sensor.uploads = DictStore({(BUCKET, KEY, "v1"): b""})
    model = ModelConfig.model_validate({**iris_model().model_dump(), "trial": trial})
    made = Sensor(task_id="decide_trial", model=model)
    made.home_bucket = BUCKET
    made.notices = Notices()
    return with_gate(made)


def context(store: MemoryStore | None = None, figures=FIGURES) -> dict:
    found = xcoms(register={"model_package_arn": ARN}, watch_trial=figures and figures.to_json())
    ti = SimpleNamespace(
        id=uuid4(),
        dag_id="iris-model",
        run_id="s3__1",
        task_id="decide_trial",
        xcom_pull=lambda task_ids: found.get(task_ids),
        xcom_push=lambda key, value: None,
    )
    return {"ti": ti, "task_instance": ti, "dag_run": ti, "task_state_store": store or MemoryStore()}


def wait(made, store, event=None) -> TrialDecisionTrigger:
    """Run the task until it waits; gives its trigger."""
    with pytest.raises(TaskDeferred) as deferral:
        made.execute(context(store)) if event is None else made.execute_complete(context(store), event)
    return deferral.value.trigger


def answer(store, option, who="alice", comment="") -> None:
    """What the API server writes down when it lets somebody answer."""
    question = Question.from_json(store.get(QUESTION))
    stage = "trial" if option == "Promote" else ""
    given = Answer(option == "Promote", who, AT, How.AIRFLOW, comment, stage, ARN, option)
    store.set(question.answer_key, signed_answer(given, question, context(store)["ti"]))


def test_any_approver_is_asked_with_the_figures_and_waited_for(asked):
    store = MemoryStore()
    made = sensor(Records())
    trigger = wait(made, store)
    (question,) = asked
    assert question["options"] == ["Promote", "Keep", "Retire"]
    assert "| Invocations | 1000 | 100 |" in question["body"]
    assert "1 of alice, carol must approve" in question["body"]
    (until,) = re.findall(r"waits until (\S+); without an answer both models stay", question["body"])
    assert datetime.fromisoformat(until).utcoffset() == timedelta(0)
    assert Rules.from_json(made.rules).needed == 1
    assert trigger.deadline == store.get(QUESTION)["at"] + 7 * 86400
    # A second attempt asks nothing anew.
    assert wait(sensor(Records()), store).deadline == trigger.deadline
    assert len(asked) == 1


def test_the_approvers_are_told_that_they_are_asked(asked):
    made, store = sensor(Records()), MemoryStore()
    made.notices = Told()
    trigger = wait(made, store)
    (message,) = made.notices.sent
    assert (message.notice, message.stage, message.model) == (Notice.WANTED, "decide_trial", "iris-model")
    assert message.text.startswith("Promote, keep or retire the model on trial?")
    assert "1 of alice, carol must approve" in message.reason
    assert message.fix.endswith("both models stay as they are")
    assert message.link.endswith("/tasks/decide_trial/required_actions")
    # The reminder is due at half of the seven days.
    assert trigger.notice_at == store.get(QUESTION)["at"] + 3.5 * 86400


@pytest.mark.parametrize("option", ["Promote", "Keep", "Retire"])
def test_an_answer_becomes_the_record(asked, option):
    records, store = Records(), MemoryStore()
    wait(sensor(records), store)
    answer(store, option, comment="fine")
    result = sensor(records).execute_complete(context(store), {})
    assert result["verdict"] == option.lower()
    assert records.written == [TrialRecord(TrialVerdict(option.lower()), "alice", AT, "Airflow", "fine")]
    # From here on the guard says who was first.
    assert (store.get(DECIDED)["decided_by"], store.get(DECIDED)["comment"]) == ("alice", "fine")


def test_an_answer_that_the_guard_has_not_let_through_is_none(asked):
    records, store = Records(), MemoryStore()
    wait(sensor(records), store)
    wait(sensor(records), store, {"chosen_options": ["Promote"]})
    assert records.written == []
    assert len(asked) == 2


def test_an_answer_that_the_guard_has_not_signed_is_asked_for_anew(asked):
    records, store = Records(), MemoryStore()
    wait(sensor(records), store)
    answer(store, "Retire")
    store.set("answer/0", {**store.get("answer/0"), "option": "Promote", "approve": True, "stage": "trial"})
    wait(sensor(records), store, {"chosen_options": ["Promote"]})
    assert (records.written, store.get(QUESTION)["number"]) == ([], 1)


def test_silence_keeps_both(asked):
    records, store = Records(), MemoryStore()
    wait(sensor(records), store)
    assert sensor(records).execute_complete(context(store), {"outcome": "timeout"})["verdict"] == "keep"
    assert (records.written[0].decided_by, records.written[0].how) == ("slipway", "timeout")


def test_the_rule_decides_at_once(asked):
    records = Records()
    result = sensor(records, decide="rule").execute(context())
    assert (result["verdict"], result["decided_by"]) == ("promote", "rule")
    assert asked == []


def test_a_verdict_that_stands_is_not_asked_for_again(asked):
    records = Records(TrialRecord(TrialVerdict.RETIRE, "erin"))
    assert sensor(records).execute(context())["decided_by"] == "erin"
    assert (asked, records.written) == ([], [])


def test_after_a_trial_was_kept_another_answer_counts(asked):
    records, store = Records(), MemoryStore()
    wait(sensor(records), store)
    answer(store, "Keep")
    sensor(records).execute_complete(context(store), {})
    records.standing = TrialRecord(TrialVerdict.KEEP, "alice", AT, outcome=TrialOutcome.KEPT)
    wait(sensor(records), store)
    assert len(asked) == 2
    assert Question.from_json(store.get(QUESTION)).number == 1
    assert store.get(DECIDED) is None
    answer(store, "Promote")
    assert sensor(records).execute_complete(context(store), {})["verdict"] == "promote"


def test_a_newer_release_ends_the_trial(asked):
    records = Records()
    newer = Entry("iris-model", "s3__2", "r", "2026-06-01T00:00:00+00:00", AT)
    with pytest.raises(Superseded, match="A newer release"):
        made = sensor(records, newer)
        made.reject_superseded = lambda context, comment: None
        made.execute(context())
    assert records.outcomes == [(TrialOutcome.SUPERSEDED, "s3__2")]


def test_without_figures_nobody_is_asked(asked):
    with pytest.raises(PermanentError, match="clear watch_trial"):
        sensor(Records()).execute(context(figures=None))
    assert asked == []


def test_a_registry_that_refuses_ends_the_wait(asked):
    with pytest.raises(PermanentError, match="AccessDenied"):
        sensor(Records()).execute_complete(context(), {"outcome": "refused", "reason": "AccessDenied"})
