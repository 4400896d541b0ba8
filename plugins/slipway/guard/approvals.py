"""The approvals as the API server sees them: their rules, their question and their answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from airflow.models.hitl import HITLDetail
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from fastapi import HTTPException, status
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, lazyload

from slipway.approval.answers import DECIDED, QUESTION, Answer, Question
from slipway.errors import UnreadableDocument
from slipway.guard import own_writes
from slipway.model.approval_rules import Rules
from slipway.model.people import likeness

# The class name of slipway.approval.approve.HumanApprovalSensor, whose import would cost every start a second.
APPROVAL_OPERATOR = "HumanApprovalSensor"
# That of slipway.trial.decide.TrialDecisionSensor, whose question has other answers than yes and no.
TRIAL_OPERATOR = "TrialDecisionSensor"
_GUARDED = frozenset({APPROVAL_OPERATOR, TRIAL_OPERATOR})

Stored = TypeVar("Stored")


def is_approval(ti: TaskInstance) -> bool:
    """Tell whether a task instance is an approval."""
    return ti.operator in _GUARDED


def rules_by_task(dag_id: str, session: Session) -> dict[str, Rules | None]:
    """Read the rules of a DAG's approvals from its newest version, which a change of the model file makes.

    :param dag_id: any DAG
    :param session: the session whose flush is under way
    :returns: rules by task id; None for rules that cannot be read: then nobody is an approver
    """
    dag = _newest_version(dag_id, session)
    tasks = dag.tasks if dag else ()
    return {task.task_id: _rules(task) for task in tasks if task.task_type in _GUARDED}


def task_types(dag_id: str, session: Session) -> set[str]:
    """Return the class names of a DAG's operators in its newest version; none if there is no such DAG."""
    dag = _newest_version(dag_id, session)
    return {task.task_type for task in dag.tasks} if dag else set()


def form_fields(dag_id: str, session: Session) -> frozenset[str]:
    """Return the fields of a DAG's form in its newest version; none if there is no such DAG."""
    dag = _newest_version(dag_id, session)
    return frozenset(dag.params) if dag else frozenset()


def _newest_version(dag_id: str, session: Session) -> Any:
    """Read a DAG in its newest version; None if there is no such DAG.

    Airflow's DBDagBag would read it as well, and keep each version of each DAG until the API server ends.
    """
    serialized = SerializedDagModel.get(dag_id, session=session)
    if serialized is None:
        return None
    serialized.load_op_links = False
    return serialized.dag


def _rules(task: Any) -> Rules | None:
    try:
        return Rules.from_json(task.rules)
    except (AttributeError, KeyError, TypeError):
        return None


def approver_names(dag_id: str, session: Session) -> list[str]:
    """Return everybody whom a DAG's approvals name; nobody if it has no approvals that can be read."""
    found = rules_by_task(dag_id, session).values()
    return sorted({name for rules in found if rules for name in rules.approvers})


def may_all(name: str | None, dag_id: str, session: Session) -> bool:
    """Tell whether this person is an approver of each of a DAG's approvals."""
    return all(rules is not None and name in rules.approvers for rules in rules_by_task(dag_id, session).values())


def only_approvers(name: str | None, approvers: Sequence[str], *, nobody: str = "") -> str:
    """Say that only approvers may do something.

    :param name: whose request is refused
    :param approvers: who may
    :param nobody: what to say if there are no approvers
    :returns: a sentence; a second one if the name resembles an approver's
    """
    return f"only its approvers may ({', '.join(approvers) or nobody}).{likeness(name, approvers)}"


class GuardedApproval:
    """One approval in one run.

    :param ti: its task instance
    :param session: the session whose flush is under way, or one of its own
    """

    def __init__(self, ti: TaskInstance, session: Session) -> None:
        self.ti = ti
        self.session = session
        self.rules = rules_by_task(ti.dag_id, session).get(ti.task_id)

    def is_approver(self, name: str | None) -> bool:
        """Tell whether this person may answer at all."""
        return self.rules is not None and name in self.rules.approvers

    def why_not(self, name: str | None) -> str:
        """Return what to tell somebody who is no approver."""
        approvers = self.rules.approvers if self.rules else []
        return only_approvers(name, approvers, nobody="nobody: its rules cannot be read")

    @property
    def is_trial(self) -> bool:
        """Whether it asks what to do with a model on trial."""
        return self.ti.operator == TRIAL_OPERATOR

    def question(self) -> Question | None:
        """Return the task's latest question; None before it asks."""
        value = self._stored(QUESTION)
        return _read(Question.from_json, value) if value else None

    def answer(self, question: Question) -> Answer | None:
        """Return the answer to a question; None while it has none."""
        value = self._stored(question.answer_key)
        return _read(Answer.from_json, value) if value else None

    def decided(self, question: Question) -> str | None:
        """Return who decided what about the question's model package, as a clause; None while nobody has."""
        value = self._stored(DECIDED)
        if not value or value.get("model_package_arn") != question.model_package_arn:
            return None
        who, what, when, how = (value.get(name) for name in ("decided_by", "decision", "decided_at", "how"))
        return f"{who} decided {what} at {when} ({how})"

    def detail(self) -> HITLDetail | None:
        """Return Airflow's own record of the question."""
        # Without its task, which is here: SQLite would read all task instances for the join.
        return self.session.get(HITLDetail, self.ti.id, options=[lazyload(HITLDetail.task_instance)])

    def give(self, question: Question, answer: Answer) -> bool:
        """Store an answer.

        A question has one answer, because (run, task, map index, key) is unique in the state store. Of two answers at
        the same moment the second fails, on every API server and every database.

        :returns: False if the question has an answer; the session must then be rolled back
        """
        row = {
            "dag_run_id": self.ti.dag_run.id,
            "dag_id": self.ti.dag_id,
            "run_id": self.ti.run_id,
            "task_id": self.ti.task_id,
            "map_index": self.ti.map_index,
            "key": question.answer_key,
            "value": json.dumps(answer.to_json()),
        }
        try:
            own_writes.write_state(self.session, [row])
        except IntegrityError:
            return False
        return True

    def _stored(self, key: str) -> Mapping[str, Any] | None:
        store = TaskStateStoreModel
        statement = select(store.value).where(
            store.dag_id == self.ti.dag_id,
            store.run_id == self.ti.run_id,
            store.task_id == self.ti.task_id,
            store.map_index == self.ti.map_index,
            store.key == key,
        )
        value = self.session.scalar(statement)
        return json.loads(value) if value else None


def _read(read: Callable[[Any], Stored], value: Mapping[str, Any]) -> Stored:
    try:
        return read(value)
    except UnreadableDocument as error:
        raise HTTPException(status.HTTP_409_CONFLICT, str(error)) from error
