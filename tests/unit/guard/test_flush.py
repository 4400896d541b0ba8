"""Who may flush which changes of an approval; with real sessions on Airflow's own tables."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from airflow import models
from airflow.api_fastapi.core_api.routes.public.task_instances import patch_task_instance
from airflow.models.base import Base
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.state import DagRunState, TaskInstanceState
from fastapi import HTTPException
from sqlalchemy import create_engine, insert, select, update
from sqlalchemy.orm import Session

from slipway.approval.answers import DECIDED, QUESTION, Answer, Question
from slipway.guard import approvals, flush
from slipway.guard.caller import Caller, current_caller
from slipway.guard.flush import guard_flushes, unguard_flushes
from slipway.guard.matched_route import Route
from slipway.model.approval_rules import ONLY_STAGE, Approval, ApprovalStage, Rules
from slipway.registry.record import How

DAG, RUN, TASK = "iris-model", "s3__1", "approve"
ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/1"
NOW = datetime(2026, 5, 2, tzinfo=UTC)
NAMED = (DAG, RUN, TASK)
ONE = Rules((ApprovalStage(ONLY_STAGE, ("alice", "carol")),))
DEFERRED, SUCCESS, FAILED = TaskInstanceState.DEFERRED, TaskInstanceState.SUCCESS, TaskInstanceState.FAILED
SKIPPED = TaskInstanceState.SKIPPED


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    models.import_all_models()
    made = create_engine(f"sqlite:///{tmp_path_factory.mktemp('guard') / 'airflow.db'}")
    Base.metadata.create_all(made)
    return made


def marking(task: tuple[str, str, str] | None) -> Route:
    """The route of a request that marks only this task."""
    if task is None:
        return Route()
    parameters = dict(zip(("dag_id", "dag_run_id", "task_id"), task, strict=True))
    return Route({"endpoint": patch_task_instance, "path_params": parameters})


class Airflow:
    """One run with an approval, and what people do to it."""

    def __init__(self, engine, monkeypatch) -> None:
        self.engine, self.ti_id = engine, uuid4()
        self.rules: dict[str, Rules | None] = {TASK: ONE}
        monkeypatch.setattr(approvals, "rules_by_task", lambda dag_id, session: self.rules)
        # first_answer's own session.
        monkeypatch.setattr(flush, "create_session", lambda **_: Session(engine))
        with engine.begin() as connection:
            for table in (HITLDetail, TaskStateStoreModel, TaskInstance, DagRun):
                connection.execute(table.__table__.delete())
            run = {"dag_id": DAG, "run_id": RUN, "run_type": "manual", "run_after": NOW, "state": "running"}
            connection.execute(insert(DagRun.__table__).values(id=1, **run))
            task = {
                "dag_id": DAG,
                "run_id": RUN,
                "task_id": TASK,
                "map_index": -1,
                "operator": approvals.APPROVAL_OPERATOR,
            }
            task |= {"pool": "default_pool", "pool_slots": 1, "state": DEFERRED.value, "start_date": NOW}
            connection.execute(insert(TaskInstance.__table__).values(id=self.ti_id, **task))

    def stores(self, key: str, value: dict) -> None:
        row = {"dag_run_id": 1, "dag_id": DAG, "run_id": RUN, "task_id": TASK, "map_index": -1}
        with self.engine.begin() as connection:
            connection.execute(insert(TaskStateStoreModel.__table__).values(key=key, value=json.dumps(value), **row))

    def asks(self, number=0, approvals=(), uploader="dave") -> None:
        self.stores(QUESTION, Question(5.0, ARN, number, tuple(approvals), uploader).to_json())
        detail = {"options": ["Approve", "Reject"], "subject": "?", "body": "facts", "params": {}, "params_input": {}}
        with self.engine.begin() as connection:
            connection.execute(insert(HITLDetail.__table__).values(ti_id=self.ti_id, created_at=NOW, **detail))

    def changes(self, who: str | None, change, marked=None) -> None:
        """Change something as a request of this person would."""
        token = current_caller.set(Caller(who, marking(marked)))
        try:
            with Session(self.engine) as session:
                change(session)
                session.commit()
        finally:
            current_caller.reset(token)

    def marks(self, who, state, marked=NAMED) -> None:
        self.changes(who, lambda session: task(session).set_state(state, session=session), marked)

    def answers(self, who, option="Approve", comment=None) -> None:
        def respond(session):
            detail = session.scalar(select(HITLDetail))
            detail.responded_at, detail.responded_by = NOW, {"id": "7", "name": who}
            detail.chosen_options, detail.params_input = [option], {"comment": comment}

        self.changes(who, respond)

    def answer(self, number=0) -> Answer | None:
        with Session(self.engine) as session:
            key = TaskStateStoreModel.key == f"answer/{number}"
            value = session.scalar(select(TaskStateStoreModel.value).where(key))
        return Answer.from_json(json.loads(value)) if value else None

    def read(self, column):
        with Session(self.engine) as session:
            return session.scalar(select(column))


def task(session) -> TaskInstance:
    return session.scalar(select(TaskInstance))


def run(session) -> DagRun:
    return session.scalar(select(DagRun))


@pytest.fixture
def airflow(engine, monkeypatch):
    guard_flushes()
    yield Airflow(engine, monkeypatch)
    unguard_flushes()


@contextmanager
def refused(status: int, match: str):
    """The block must be refused with this status, for this reason."""
    with pytest.raises(HTTPException) as caught:
        yield
    assert caught.value.status_code == status
    assert match in caught.value.detail


def clear(session) -> None:
    task(session).state = None


def delete(session) -> None:
    session.delete(task(session))


def succeed(session) -> None:
    run(session).state = DagRunState.SUCCESS


class TestSomebodyElse:
    @pytest.mark.parametrize("who", ["bob", None])
    @pytest.mark.parametrize("state", [SUCCESS, FAILED, SKIPPED])
    def test_marks_nothing(self, airflow, who, state):
        airflow.asks()
        with refused(403, "only its approvers may (alice, carol)"):
            airflow.marks(who, state)
        assert airflow.read(TaskInstance.state) == DEFERRED

    @pytest.mark.parametrize("who", ["Alice", "\u0430lice", "alice@corp", "CORP\\alice"])
    def test_approves_nothing_under_a_name_like_an_approvers(self, airflow, who):
        airflow.asks()
        for act in (lambda: airflow.answers(who), lambda: airflow.marks(who, SUCCESS)):
            with refused(403, "is not alice: names must agree letter by letter"):
                act()
        assert airflow.answer() is None

    @pytest.mark.parametrize("change", [clear, delete])
    def test_neither_clears_nor_deletes_a_question(self, airflow, change):
        airflow.asks()
        with refused(403, "bob may not"):
            airflow.changes("bob", change)

    def test_answers_nothing(self, airflow):
        airflow.asks()
        with refused(403, "bob may not answer for approve"):
            airflow.answers("bob")
        assert airflow.answer() is None
        assert airflow.read(HITLDetail.responded_at) is None

    def test_neither_ends_nor_deletes_a_run(self, airflow):
        with refused(403, "bob may not mark this release success"):
            airflow.changes("bob", succeed)
        with refused(403, "bob may not delete this release"):
            airflow.changes("bob", lambda session: session.delete(run(session)))

    @pytest.mark.parametrize("state", [SUCCESS, FAILED])
    def test_marks_nothing_in_advance(self, airflow, state):
        with refused(403, "bob may not change approve"):
            airflow.marks("bob", state)

    @pytest.mark.parametrize("state", [None, SKIPPED])
    def test_may_stop_or_repeat_a_release_that_has_not_asked(self, airflow, state):
        airflow.changes("bob", lambda session: setattr(task(session), "state", state))
        assert airflow.read(TaskInstance.state) == state

    def test_is_everybody_where_the_rules_cannot_be_read(self, airflow):
        airflow.asks()
        airflow.rules = {TASK: None}
        with refused(403, "its rules cannot be read"):
            airflow.answers("alice")
        with refused(403, "alice may not mark this release success"):
            airflow.changes("alice", succeed)


class TestAnApprover:
    def test_answers_and_the_answer_is_written_down_with_it(self, airflow):
        airflow.asks()
        airflow.answers("alice", comment="fine")
        answer = airflow.answer()
        assert (answer.approve, answer.by, answer.how, answer.comment) == (True, "alice", How.AIRFLOW, "fine")
        assert (answer.stage, answer.model_package_arn) == (ONLY_STAGE, ARN)

    def test_that_does_not_commit_has_not_answered(self, airflow):
        airflow.asks()

        def respond(session):
            session.scalar(select(HITLDetail)).responded_at = NOW
            session.flush()
            session.rollback()

        airflow.changes("alice", respond)
        assert airflow.answer() is None

    @pytest.mark.parametrize(
        ("state", "approve", "option", "how"),
        [(SUCCESS, True, "Approve", How.MARKED_SUCCESS), (FAILED, False, "Reject", How.MARKED_FAILED)],
    )
    def test_marks_the_task_and_it_goes_on_at_once_with_its_answer(self, airflow, state, approve, option, how):
        airflow.asks()
        airflow.marks("alice", state)
        answer = airflow.answer()
        assert (answer.approve, answer.by, answer.how) == (approve, "alice", how)
        assert airflow.read(TaskInstance.state) == TaskInstanceState.SCHEDULED
        assert airflow.read(TaskInstance.next_kwargs)["event"]["chosen_options"] == [option]
        assert airflow.read(TaskInstance.end_date) is None
        assert airflow.read(HITLDetail.chosen_options) == [option]
        assert airflow.read(HITLDetail.responded_by) == {"id": "alice", "name": "alice"}

    def test_marks_a_task_that_runs_and_looks_for_the_answer_itself(self, airflow):
        airflow.asks()
        with airflow.engine.begin() as connection:
            connection.execute(update(TaskInstance.__table__).values(state=TaskInstanceState.RUNNING.value))
        airflow.marks("alice", SUCCESS)
        assert airflow.answer().by == "alice"
        assert airflow.read(TaskInstance.state) == TaskInstanceState.RUNNING
        assert airflow.read(TaskInstance.next_kwargs) is None

    def test_marks_an_attempt_whose_question_is_not_put_yet(self, airflow):
        airflow.stores(QUESTION, Question(5.0, ARN).to_json())
        airflow.marks("alice", SUCCESS)
        assert airflow.answer().by == "alice"

    @pytest.mark.parametrize("marked", [None, (DAG, RUN, "test_prd"), (DAG, "another", TASK)])
    def test_approves_nothing_that_was_not_named(self, airflow, marked):
        airflow.asks()
        with refused(409, "Mark only this task"):
            airflow.marks("alice", SUCCESS, marked)
        assert airflow.answer() is None

    def test_approves_nothing_before_it_is_asked(self, airflow):
        with refused(409, "has not asked yet"):
            airflow.marks("alice", SUCCESS)

    def test_skips_no_question(self, airflow):
        airflow.asks()
        with refused(409, "instead of skipping"):
            airflow.marks("alice", SKIPPED)

    def test_clears_and_ends_runs(self, airflow):
        airflow.asks()
        airflow.changes("alice", clear)
        airflow.changes("alice", succeed)
        assert airflow.read(TaskInstance.state) is None
        assert airflow.read(DagRun.state) == DagRunState.SUCCESS

    def test_is_told_that_a_question_cannot_be_read_and_may_clear_it(self, airflow):
        airflow.stores(QUESTION, {"at": 5.0})
        for mark in (SUCCESS, FAILED, SKIPPED):
            with refused(409, "the member model_package_arn is missing"):
                airflow.marks("alice", mark)
        with refused(409, "the member model_package_arn is missing"):
            airflow.changes("bob", clear)
        airflow.changes("alice", clear)
        assert airflow.read(TaskInstance.state) is None

    @pytest.mark.parametrize("state", [SUCCESS, FAILED, SKIPPED])
    def test_changes_nothing_that_has_ended(self, airflow, state):
        airflow.asks()
        with airflow.engine.begin() as connection:
            connection.execute(TaskInstance.__table__.update().values(state=state.value))
        with refused(409, "Clear it"):
            airflow.answers("alice")
        with refused(409, "Clear it"):
            airflow.marks("alice", FAILED if state is SUCCESS else SUCCESS)


class TestTheFirstAnswerStands:
    def test_the_second_is_told_who_was_first(self, airflow):
        airflow.asks()
        airflow.marks("alice", SUCCESS)
        for second in (lambda: airflow.answers("carol", "Reject"), lambda: airflow.marks("carol", FAILED)):
            with refused(409, "alice approved it at"):
                second()
        assert airflow.answer().by == "alice"

    def test_of_two_in_one_instant_the_database_takes_one(self, airflow, monkeypatch):
        airflow.asks()
        seen = approvals.GuardedApproval.answer
        # Neither has seen the other's answer.
        monkeypatch.setattr(approvals.GuardedApproval, "answer", lambda approval, question: None)
        airflow.marks("alice", SUCCESS)
        monkeypatch.setattr(flush, "first_answer", lambda ti, question: "alice was first")
        with refused(409, "alice was first"):
            airflow.marks("carol", FAILED)
        monkeypatch.setattr(approvals.GuardedApproval, "answer", seen)
        assert airflow.answer().by == "alice"

    def test_a_decision_made_elsewhere_takes_the_question_away(self, airflow):
        airflow.asks()
        who = {"decided_by": "erin", "decision": "Rejected", "decided_at": "t", "how": "SageMaker"}
        airflow.stores(DECIDED, {**who, "model_package_arn": ARN})
        with refused(409, "erin decided Rejected at t (SageMaker)"):
            airflow.answers("alice")

    def test_a_decision_on_another_model_does_not(self, airflow):
        airflow.asks()
        airflow.stores(DECIDED, {"model_package_arn": "another"})
        airflow.answers("alice")
        assert airflow.answer().by == "alice"


class TestRules:
    def test_the_next_approver_sees_who_approved(self, airflow):
        airflow.rules = {TASK: Rules((ApprovalStage("science", ("alice", "carol"), 2),))}
        airflow.asks()
        airflow.answers("alice")
        assert airflow.answer().stage == "science"
        body = airflow.read(HITLDetail.body)
        assert body.startswith("facts")
        assert "`alice` approved" in body
        assert "carol must approve" in body

    def test_one_person_does_not_make_a_quorum(self, airflow):
        airflow.rules = {TASK: Rules((ApprovalStage("science", ("alice", "carol"), 2),))}
        airflow.asks(1, [Approval(by="alice", at="t", how="Airflow", stage="science")])
        with refused(403, "alice has approved already"):
            airflow.answers("alice")
        airflow.answers("carol")
        assert airflow.answer(1).by == "carol"

    def test_a_later_stage_does_not_approve_before_its_turn_but_may_reject(self, airflow):
        airflow.rules = {TASK: Rules((ApprovalStage("science", ("alice",)), ApprovalStage("operations", ("olaf",))))}
        airflow.asks()
        with refused(403, "olaf is no approver of the stage science"):
            airflow.answers("olaf")
        airflow.answers("olaf", "Reject")
        assert not airflow.answer().approve

    def test_the_uploader_may_not_approve_where_the_file_says_so(self, airflow):
        airflow.rules = {TASK: Rules(ONE.stages, allow_uploader=False)}
        airflow.asks(uploader="Alice@example.com")
        with refused(403, "alice uploaded this model"):
            airflow.answers("alice")
        airflow.answers("carol")


def test_who_is_no_caller_is_let_through(airflow):
    airflow.asks()
    with Session(airflow.engine) as session:
        task(session).state = SUCCESS
        session.commit()
    assert airflow.read(TaskInstance.state) == SUCCESS


def test_other_tasks_are_nobodys_business(airflow):
    with airflow.engine.begin() as connection:
        connection.execute(TaskInstance.__table__.update().values(operator="SlipwayTrainingOperator"))
    airflow.marks("bob", SUCCESS)
    assert airflow.read(TaskInstance.state) == SUCCESS


class TestATrial:
    """The question with several answers: a task of another class, asked after the approval."""

    @pytest.fixture
    def trial(self, airflow):
        with airflow.engine.begin() as connection:
            connection.execute(TaskInstance.__table__.update().values(operator=approvals.TRIAL_OPERATOR))
        airflow.asks()
        return airflow

    @pytest.mark.parametrize(("option", "approve"), [("Promote", True), ("Keep", False), ("Retire", False)])
    def test_an_approvers_answer_is_written_down_as_it_was_given(self, trial, option, approve):
        trial.answers("alice", option, comment="fine")
        answer = trial.answer()
        assert (answer.option, answer.approve, answer.by) == (option, approve, "alice")
        assert str(answer).startswith(f"alice answered {option} at ")

    def test_nobody_else_answers_or_marks(self, trial):
        with refused(403, "bob may not answer"):
            trial.answers("bob", "Retire")
        with refused(403, "bob may not change"):
            trial.marks("bob", SUCCESS)
        assert trial.answer() is None

    @pytest.mark.parametrize("state", [SUCCESS, FAILED])
    def test_a_mark_is_no_answer_not_even_an_approvers(self, trial, state):
        with refused(409, "choose one of them"):
            trial.marks("alice", state)
        assert trial.answer() is None

    def test_who_uploaded_the_model_promotes_it_only_where_the_rules_let_them(self, trial):
        trial.rules = {TASK: Rules((ApprovalStage(ONLY_STAGE, ("dave",)),), allow_uploader=False)}
        with refused(403, "does not let the uploader approve"):
            trial.answers("dave", "Promote")
        trial.answers("dave", "Retire")
        assert trial.answer().option == "Retire"


@pytest.mark.parametrize("comment", ["x" * 1025, "half a pair: \ud83d"])
def test_a_comment_that_cannot_be_kept_is_refused_and_the_question_stays_open(airflow, comment):
    airflow.asks()
    with refused(422, "comment"):
        airflow.answers("alice", comment=comment)
    assert airflow.answer() is None
    airflow.answers("alice", comment="fine")
    assert airflow.answer().comment == "fine"
