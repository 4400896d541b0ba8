"""The questions that wait for people: what each answer does, and why somebody may not give it.

The guard decides when an answer arrives (slipway/guard/flush.py). What is said here comes from the same rules, so that
nobody presses a button only to be refused.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from slipway.approval.answers import DECIDED, QUESTION, Question
from slipway.approval.costs import costs_say, region_of
from slipway.approval.effect import approve_does, named, reject_does
from slipway.board.comparison import LiveRelease, comparison
from slipway.board.documents import Decided, Decision, Option
from slipway.board.overview import WAITING_STATES
from slipway.board.results import Results, figures, text, version_of
from slipway.board.stages import APPROVE, ASKING, DECIDE_TRIAL
from slipway.errors import UnreadableDocument
from slipway.formats.json_numbers import number_of
from slipway.guard.approvals import only_approvers
from slipway.model.approval_rules import Approval, Rules


@dataclass(frozen=True)
class Asked:
    """A question that has no answer yet, as Airflow keeps it."""

    dag_id: str
    run_id: str
    run: int
    task_id: str
    map_index: int
    subject: str
    options: Sequence[str]
    asked_at: datetime


@dataclass(frozen=True)
class AskingTask:
    """What the newest version of a DAG says about a task that asks.

    :param rules: who may answer; None if they cannot be read: then nobody may
    :param timeout_days: how long it waits; None if it does not say
    :param strategy: how an approval moves the requests, in words; empty if it does not say
    """

    rules: Rules | None
    timeout_days: float | None
    strategy: str = ""


@dataclass(frozen=True)
class Answerer:
    """Who reads the page.

    :param name: the Airflow user name
    :param may_answer: the DAGs whose questions Airflow lets them answer
    """

    name: str
    may_answer: Collection[str]


def open_questions(dag_ids: Collection[str], session: Session) -> list[Asked]:
    """Read the questions that wait, the oldest first."""
    ti = TaskInstance
    statement = (
        select(
            ti.dag_id,
            ti.run_id,
            DagRun.id,
            ti.task_id,
            ti.map_index,
            HITLDetail.subject,
            HITLDetail.options,
            HITLDetail.created_at,
        )
        .join(HITLDetail, HITLDetail.ti_id == ti.id)
        .join(DagRun, and_(DagRun.dag_id == ti.dag_id, DagRun.run_id == ti.run_id))
        .where(
            ti.dag_id.in_(dag_ids),
            ti.task_id.in_(ASKING),
            ti.state.in_(WAITING_STATES),
            HITLDetail.responded_at.is_(None),
        )
        .order_by(HITLDetail.created_at)
    )
    return [Asked(*row) for row in session.execute(statement)]


def remembered(runs: Collection[int], session: Session) -> dict[tuple[int, str, str], Mapping[str, Any]]:
    """Read what the tasks that ask have stored.

    :param runs: the runs
    :param session: Airflow's database
    :returns: questions and decisions, by run, task and key
    """
    store = TaskStateStoreModel
    statement = select(store.dag_run_id, store.task_id, store.key, store.value).where(
        store.dag_run_id.in_(runs), store.task_id.in_(ASKING), store.key.in_((QUESTION, DECIDED))
    )
    return {(row.dag_run_id, row.task_id, row.key): json.loads(row.value) for row in session.execute(statement)}


def asking_tasks(dag_ids: Collection[str], session: Session) -> dict[tuple[str, str], AskingTask]:
    """Read the rules of all questions of some models, in one query; the guard reads them one model at a time.

    :param dag_ids: the models
    :param session: Airflow's database
    :returns: by model and task
    """
    found = {}
    for serialized in SerializedDagModel.get_latest_serialized_dags(dag_ids=list(dag_ids), session=session):
        for task in _tasks(serialized.data):
            if task.get("task_id") in ASKING:
                found[serialized.dag_id, task["task_id"]] = AskingTask(
                    _rules(task.get("rules")), _days(task), text(task.get("strategy")) or ""
                )
    return found


def _tasks(data: Any) -> Iterator[Mapping[str, Any]]:
    for task in ((data or {}).get("dag") or {}).get("tasks") or ():
        yield task.get("__var", task)


def _rules(value: Any) -> Rules | None:
    try:
        return Rules.from_json(_plain(value))
    except (AttributeError, KeyError, TypeError):
        return None


def _days(task: Mapping[str, Any]) -> float | None:
    value = task.get("timeout_days")
    return float(value) if isinstance(value, int | float) else None


def _plain(value: Any) -> Any:
    """Return a value without the marks of Airflow's serialization, which dictionaries have in some places."""
    if isinstance(value, Mapping):
        if set(value) == {"__type", "__var"}:
            return _plain(value["__var"])
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def decision(
    asked: Asked,
    task: AskingTask | None,
    stored: Mapping[str, Any] | None,
    results: Results,
    live: LiveRelease,
    answerer: Answerer,
) -> Decision:
    """Say what a question is about.

    :param asked: the question in Airflow
    :param task: the task that asks; None if the DAG has it no more
    :param stored: the question in the task's state store
    :param results: what the run's tasks have left
    :param live: what production serves
    :param answerer: who reads
    """
    if asked.task_id == DECIDE_TRIAL:
        # The trial's deployment is the newest one; what it runs beside is what was live before.
        live = LiveRelease(version_of(results.compared_with))
    question = _question(stored)
    approvals = list(question.approvals) if question else []
    rules = task.rules if task else None
    asked_at = datetime.fromtimestamp(question.at, UTC) if question else asked.asked_at
    days = task.timeout_days if task else None
    uploader = question.uploader if question else None
    deployment = _deployment(results, live, task.strategy if task else "")
    effects = _effects(asked, rules, approvals, results, live.version, deployment, answerer.name)
    return Decision(
        run_id=asked.run_id,
        task_id=asked.task_id,
        map_index=asked.map_index,
        subject=asked.subject,
        effect=deployment if asked.task_id == APPROVE else effects.get("Promote", ""),
        version=results.version,
        live_version=live.version,
        asked_at=asked_at,
        ends_at=asked_at + timedelta(days=days) if days is not None else None,
        waits_for=rules.wanted(approvals) if rules else "nobody may answer, because its rules cannot be read",
        uploader=uploader,
        approvals=[f"{one.by} approved at {one.at} ({one.how})" for one in approvals],
        options=[
            Option(name=name, effect=effects.get(name, ""), refusal=_refusal(asked, name, rules, question, answerer))
            for name in asked.options
        ],
        figures=figures(results),
        changes=comparison(results, live, only_changes=True) if asked.task_id == APPROVE else None,
    )


def _question(stored: Mapping[str, Any] | None) -> Question | None:
    try:
        return Question.from_json(stored) if stored else None
    except UnreadableDocument:
        return None


def _refusal(
    asked: Asked, option: str, rules: Rules | None, question: Question | None, answerer: Answerer
) -> str | None:
    approvers = rules.approvers if rules else []
    if rules is None or answerer.name not in approvers:
        who = only_approvers(answerer.name, approvers, nobody="nobody: its rules cannot be read")
        return who[:1].upper() + who[1:]
    if asked.dag_id not in answerer.may_answer:
        return f"Airflow does not let {answerer.name} answer questions: ask an administrator for the permission."
    if question is None:
        return "The task has not stored its question yet."
    if option in ("Approve", "Promote"):
        return rules.refusal(answerer.name, question.approvals, question.uploader)
    return None


def _effects(
    asked: Asked,
    rules: Rules | None,
    approvals: list[Approval],
    results: Results,
    live_version: str | None,
    effect: str,
    name: str,
) -> dict[str, str]:
    if asked.task_id == DECIDE_TRIAL:
        new = named(results.version, "The new model")
        return {
            "Promote": f"{new} gets all requests, step by step, and becomes the live model.",
            "Keep": "Both models stay as they are, each with its share of the requests.",
            "Retire": "The live model gets all requests again; the new one is removed.",
        }
    stage = rules.open_stage(approvals) if rules else None
    if rules and stage:
        after = [*approvals, Approval(by=name, at="", how="", stage=stage.name)]
        if rules.open_stage(after):
            effect = f"It counts as one approval; then {rules.wanted(after)}. With the last one: {effect}"
    return {"Approve": effect, "Reject": reject_does(live_version)}


def _deployment(results: Results, live: LiveRelease, strategy: str) -> str:
    """Say what production gets when a release is approved."""
    given = results.of("process_request").get("trial_share")
    share = None if given is None else number_of(given)
    settings = results.contents.settings if results.contents else None
    on_trial = live.version is not None and share is not None
    costs = costs_say(settings, live.instances, region_of(results.package_arn), on_trial=on_trial)
    return approve_does(results.version, live.version, share=share, strategy=strategy, costs=costs)


def decided(run: int, task_id: str, stored: Mapping[tuple[int, str, str], Mapping[str, Any]]) -> Decided | None:
    """Return who decided what; None while nobody has."""
    value = stored.get((run, task_id, DECIDED))
    if not value:
        return None
    given = [one for one in value.get("approvals") or () if isinstance(one, Mapping)]
    return Decided(
        task_id=task_id,
        decision=text(value.get("decision")) or "unknown",
        by=text(value.get("decided_by")) or "unknown",
        at=text(value.get("decided_at")),
        how=text(value.get("how")) or "unknown",
        comment=text(value.get("comment")) or "",
        approvals=[f"{one.get('by')} at {one.get('at')} ({one.get('how')})" for one in given],
    )
