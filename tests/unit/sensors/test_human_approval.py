"""The task approve: one record on the model package, whichever way the decision came."""

import time
from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from slipway.errors import AlreadyDecided, PermanentError, Rejected
from slipway.hooks.model_registry import Decision
from slipway.release_plan import ReleasePlan, Revision
from slipway.sensors import human_approval
from slipway.sensors.human_approval import ASKED, HumanApprovalSensor
from slipway.states import ModelApprovalStatus
from slipway.triggers.approval import ApprovalTrigger
from tests.unit.scripted_aws import MemoryStore
from tests.unit.stages import with_gate

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/1"
PLAN = ReleasePlan(
    prefix="iris-model",
    revision=Revision("b", "k", "v1", "etag", 1, "2026-05-01T12:00:00+00:00", "dave"),
    revision_id="r" * 32,
    digest="d" * 64,
    sequence="2026-05-01T12:00:00+00:00",
    training_job_name="mlops-iris-model-1",
    request_uri="s3://b/r",
    model_package_group="mlops-iris-model",
    endpoint_prefix="iris-model",
    stacks={"dev": "a", "prd": "b"},
    endpoints={"dev": "a", "prd": "b"},
)
APPROVED, REJECTED = ModelApprovalStatus.APPROVED, ModelApprovalStatus.REJECTED


class Registry:
    """One model package; the first decision on it stands."""

    def __init__(self, standing: Decision | None = None) -> None:
        self.standing, self.records = standing, []

    def keep_outside_decision(self, arn, digest):
        assert (arn, digest) == (ARN, PLAN.digest)
        return self.standing

    def record_decision(self, arn, *, approved, decided_by, how, comment, digest):
        assert (arn, digest) == (ARN, PLAN.digest)
        if self.standing:
            raise AlreadyDecided("too late", resource=arn)
        self.standing = decision(APPROVED if approved else REJECTED, decided_by, how, comment)
        self.records.append(self.standing)
        return self.standing


def decision(status=APPROVED, who="erin", how="SageMaker", comment="") -> Decision:
    return Decision(status, who, "2026-05-02T08:00:00+00:00", how, comment)


class Gate(HumanApprovalSensor):
    """The sensor with the registry of the test."""

    registry = None


@pytest.fixture
def asked(monkeypatch):
    """The questions put to Airflow, in order."""
    questions = []
    monkeypatch.setattr(human_approval, "upsert_hitl_detail", lambda **detail: questions.append(detail))
    return questions


def gate(registry: Registry, **kwargs) -> Gate:
    made = Gate(task_id="approve", approvers=["alice", "carol"], subject="Shall it?", aws_conn_id=None, **kwargs)
    # Airflow keeps operators from new attributes of their class's properties.
    type(made).registry = registry
    return with_gate(made)


def context(store=None) -> dict:
    xcoms = {
        "process_request": PLAN.to_xcom(),
        "register": {"model_package_arn": ARN, "version": 1},
        "evaluate": {"metrics": {"validation:merror": 0.04}, "gates": [], "live": None},
    }
    ti = SimpleNamespace(
        id=uuid4(), dag_id="iris-model", run_id="s3__1", xcom_pull=lambda task_ids: xcoms.get(task_ids), xcoms=xcoms
    )
    return {"ti": ti, "task_instance": ti, "dag_run": ti, "task_state_store": store or MemoryStore()}


def answer(option: str, comment: str = "", who="alice") -> dict:
    """What Airflow resumes a task with; it has no outcome."""
    user = {"id": who, "name": who}
    return {"chosen_options": [option], "params_input": {"comment": comment}, "responded_by_user": user}


def test_it_asks_the_approvers_and_waits_deferred(asked):
    registry, ctx = Registry(), context()
    with pytest.raises(TaskDeferred) as deferral:
        gate(registry).execute(ctx)
    (question,) = asked
    assert question["options"] == ["Approve", "Reject"]
    assert question["assigned_users"] == [{"id": "alice", "name": "alice"}, {"id": "carol", "name": "carol"}]
    assert list(question["params"]) == ["comment"]
    # Else the screen's buttons stay disabled until something is typed.
    assert "null" in question["params"]["comment"]["schema"]["type"]
    assert "validation:merror" in question["body"]
    assert "defaults" not in question
    trigger = deferral.value.trigger
    assert isinstance(trigger, ApprovalTrigger)
    assert (trigger.model_package_arn, trigger.ti_id) == (ARN, str(ctx["ti"].id))
    assert deferral.value.timeout is None
    assert registry.records == []


def test_a_second_attempt_neither_erases_an_answer_nor_grants_the_time_anew(asked):
    store = MemoryStore()
    with pytest.raises(TaskDeferred) as first:
        gate(Registry(), timeout_days=2).execute(context(store))
    assert first.value.trigger.deadline == store.entries[ASKED]["at"] + 2 * 86400
    store.entries[ASKED]["at"] = time.time() - 86400
    with pytest.raises(TaskDeferred) as second:
        gate(Registry(), timeout_days=2).execute(context(store))
    assert second.value.trigger.deadline == store.entries[ASKED]["at"] + 2 * 86400
    assert len(asked) == 1


def test_a_question_that_is_gone_is_asked_again_within_the_same_time(asked):
    store = MemoryStore(asked={"at": 5.0, "model_package_arn": ARN})
    with pytest.raises(TaskDeferred) as deferral:
        gate(Registry(), timeout_days=2).execute_complete(context(store), {"outcome": "unasked"})
    assert len(asked) == 1
    assert deferral.value.trigger.deadline == 5.0 + 2 * 86400


def test_another_model_package_is_another_question(asked):
    store = MemoryStore(asked={"at": 5.0, "model_package_arn": "arn:other"})
    with pytest.raises(TaskDeferred):
        gate(Registry()).execute(context(store))
    assert len(asked) == 1
    assert store.entries[ASKED]["model_package_arn"] == ARN
    assert store.entries[ASKED]["at"] > 5.0


def test_approve_is_recorded_with_name_and_comment(asked):
    registry = Registry()
    xcom = gate(registry).execute_complete(context(), answer("Approve", "fine by me"))
    assert registry.records == [decision(APPROVED, "alice", "Airflow", "fine by me")]
    assert xcom == {
        "decision": "Approved",
        "decided_by": "alice",
        "decided_at": "2026-05-02T08:00:00+00:00",
        "how": "Airflow",
        "comment": "fine by me",
    }


def test_reject_is_recorded_and_fails_without_a_retry(asked):
    registry = Registry()
    with pytest.raises(Rejected, match=r"alice rejected.*not now") as caught:
        gate(registry).execute_complete(context(), answer("Reject", "not now"))
    assert isinstance(caught.value, AirflowFailException)
    assert registry.records == [decision(REJECTED, "alice", "Airflow", "not now")]


@pytest.mark.parametrize("chosen", [[], ["Approve", "Reject"], ["approve"]])
def test_whatever_is_not_approve_is_no_approval(asked, chosen):
    registry = Registry()
    with pytest.raises(Rejected):
        gate(registry).execute_complete(context(), {**answer(""), "chosen_options": chosen})
    assert not registry.standing.approved


def test_no_answer_in_time_is_a_rejection(asked):
    registry = Registry()
    with pytest.raises(Rejected, match="No answer within 7 days"):
        gate(registry).execute_complete(context(), {"outcome": "timeout"})
    assert registry.records == [decision(REJECTED, "slipway", "timeout", "No answer within 7 days")]


def test_a_decision_made_in_the_registry_counts(asked):
    assert gate(Registry(decision())).execute_complete(context(), {"outcome": "recorded"})["decided_by"] == "erin"
    with pytest.raises(Rejected, match="erin"):
        gate(Registry(decision(REJECTED))).execute_complete(context(), {"outcome": "recorded"})


def test_a_decision_withdrawn_in_the_registry_is_waited_for_again(asked):
    store = MemoryStore(asked={"at": 5.0, "model_package_arn": ARN})
    with pytest.raises(TaskDeferred):
        gate(Registry()).execute_complete(context(store), {"outcome": "recorded"})


def test_a_standing_decision_is_not_asked_for_again(asked):
    assert gate(Registry(decision())).execute(context())["decision"] == "Approved"
    with pytest.raises(Rejected):
        gate(Registry(decision(REJECTED))).execute(context())
    assert asked == []


def test_the_first_decision_stands_and_the_late_one_is_in_the_log(asked, capsys):
    registry = Registry(decision())
    xcom = gate(registry).execute_complete(context(), answer("Reject", "wait!", "carol"))
    assert (xcom["decision"], xcom["decided_by"]) == ("Approved", "erin")
    assert "wait!" in capsys.readouterr().out
    with pytest.raises(Rejected, match="erin"):
        gate(Registry(decision(REJECTED))).execute_complete(context(), answer("Approve"))


def test_a_record_that_aws_does_not_show_fails_with_the_reason(asked):
    with pytest.raises(PermanentError, match="AccessDenied"):
        gate(Registry()).execute_complete(context(), {"outcome": "refused", "reason": "AccessDenied"})


def test_without_a_registered_model_there_is_nothing_to_decide(asked):
    ctx = context()
    del ctx["ti"].xcoms["register"]
    with pytest.raises(PermanentError, match="run register"):
        gate(Registry()).execute(ctx)


def test_somebody_must_be_an_approver():
    with pytest.raises(ValueError, match="approvers"):
        HumanApprovalSensor(task_id="approve", approvers=[], subject="?")


def test_the_form_has_a_comment_and_none_of_the_dags_params():
    with DAG("d", params={"bucket": Param("b", type="string")}):
        made = HumanApprovalSensor(task_id="approve", approvers=["alice"], subject="?")
    assert list(made.serialized_params) == ["comment"]
    assert made.defaults is None
    assert made.retries == 3
    assert "approvers" in made.template_fields
