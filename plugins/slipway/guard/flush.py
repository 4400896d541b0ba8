"""Checks each change of an approval against its rules, before it is written to the database.

Marking one task, many, a group or a whole run, clearing, deleting and answering all change objects of one session. A
refusal here undoes the whole request.
https://docs.sqlalchemy.org/en/20/orm/session_events.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NoReturn

from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState
from fastapi import HTTPException, status
from sqlalchemy import event, inspect
from sqlalchemy.orm import Session

from slipway.approval.answers import Answer, Question
from slipway.approval.facts import approval_line
from slipway.guard import belongings
from slipway.guard.approvals import GuardedApproval, approver_names, is_approval, may_all, only_approvers
from slipway.guard.caller import Caller, TaskCaller, current_caller
from slipway.guard.forms import check_form
from slipway.guard.marked_runs import tell_marked
from slipway.guard.orders import check_order, refuse_paused, write_order
from slipway.guard.resumption import lock_deferred, resume
from slipway.names import AUTO_RUN_PREFIX
from slipway.registry.record import APPROVE, REJECT, How, comment_problem
from slipway.signed import proofs

# The answer to a trial's question that gives the new model all requests.
PROMOTE = "Promote"
_MARKS = {
    TaskInstanceState.SUCCESS: (APPROVE, How.MARKED_SUCCESS),
    TaskInstanceState.FAILED: (REJECT, How.MARKED_FAILED),
}
_UNCHANGED = object()
# What TaskInstance.set_state changes.
_MARKED_ATTRIBUTES = ("state", "start_date", "end_date", "duration")


def guard_flushes() -> None:
    """Check every session's flush in this process."""
    for moment, listener in (("before_flush", check_flush), ("after_flush", write_orders)):
        if not event.contains(Session, moment, listener):
            event.listen(Session, moment, listener)


def unguard_flushes() -> None:
    """Undo ``guard_flushes``, for tests."""
    for moment, listener in (("before_flush", check_flush), ("after_flush", write_orders)):
        if event.contains(Session, moment, listener):
            event.remove(Session, moment, listener)


def check_flush(session: Session, _flush_context: Any, _instances: Any) -> None:
    """Check what is about to be written.

    :param session: the session that is flushed
    :raises fastapi.HTTPException: 403 or 409 with the reason, when a caller may not do this
    """
    caller = current_caller.get()
    if caller is None:
        return
    started = [run for run in session.new if isinstance(run, DagRun)]
    for run in started:
        _check_run_id(caller, run, session)
        check_form(run, session)
    if isinstance(caller, TaskCaller):
        _check_worker(caller, session)
        return
    for run in started:
        check_order(caller, run, session)
        refuse_paused(run, session)
    changes = [*session.dirty, *session.deleted]
    for changed in changes:
        # Before the tasks: an answer changes its task too, and a refusal must be about the answer.
        if isinstance(changed, HITLDetail) and is_approval(changed.task_instance):
            _check_detail(caller, GuardedApproval(changed.task_instance, session), changed)
    for changed in changes:
        if isinstance(changed, TaskInstance) and is_approval(changed):
            _check_task(caller, GuardedApproval(changed, session), deleted=changed in session.deleted)
        elif isinstance(changed, DagRun):
            _check_run(caller, changed, session)
            if _goes_again(changed, session):
                check_order(caller, changed, session)
        elif isinstance(changed, TaskInstance) and _goes_again(changed, session):
            check_order(caller, changed.dag_run, session)
    tell_marked(caller, changes, session)


def write_orders(session: Session, _flush_context: Any) -> None:
    """Store who ordered the runs that have just been started.

    :param session: the session that was flushed
    """
    caller = current_caller.get()
    # A task cannot order anything.
    if not isinstance(caller, Caller):
        return
    for started in session.new:
        if isinstance(started, DagRun):
            write_order(caller, started, session)


def _check_run_id(caller: Caller | TaskCaller, run: DagRun, session: Session) -> None:
    """Let only the intake start a run with an upload's run id: otherwise that upload would count as released."""
    if not run.run_id.startswith(AUTO_RUN_PREFIX):
        return
    connection = session.connection()
    if not belongings.slipways_dags({run.dag_id}, connection):
        return
    task = belongings.task_of(caller.task_instance_id, connection) if isinstance(caller, TaskCaller) else None
    if task is None or not belongings.is_intake(task[0], task[2]):
        raise HTTPException(
            status.HTTP_403_FORBIDDEN,
            f"{caller} may not start a run of {run.dag_id} whose id begins with {AUTO_RUN_PREFIX}: those are for "
            "uploads. Give it another id, or none.",
        )


def _check_worker(worker: TaskCaller, session: Session) -> None:
    """Check a task's request: it may change no other task's approval, and no other run that needs an order.

    The execution API compares the token only with paths that name a task instance.
    """
    changes = [one for one in (*session.dirty, *session.deleted) if isinstance(one, TaskInstance)]
    others = [one for one in changes if one.id != worker.task_instance_id]
    own = belongings.task_of(worker.task_instance_id, session.connection()) if others else None
    for changed in others:
        if is_approval(changed):
            _check_task(worker, GuardedApproval(changed, session), deleted=changed in session.deleted)
        elif _goes_again(changed, session) and (own is None or own[:2] != (changed.dag_id, changed.run_id)):
            check_order(worker, changed.dag_run, session)


def _check_task(caller: Caller | TaskCaller, approval: GuardedApproval, *, deleted: bool) -> None:
    ti, before = approval.ti, _before(approval.ti, "state")
    if not deleted and before is _UNCHANGED:
        return
    if not approval.is_approver(caller.name):
        # Skipping or clearing an approval that has not asked yet approves nothing.
        if deleted or ti.state in _MARKS or approval.question() is not None:
            _forbid(caller, approval, f"delete {ti.task_id}" if deleted else f"change {ti.task_id} to {ti.state}")
    elif not deleted and ti.state in _MARKS and isinstance(caller, Caller):
        _take_mark(caller, approval, before)
    elif not deleted and ti.state is TaskInstanceState.SKIPPED:
        question = approval.question()
        if question and not approval.decided(question):
            _conflict(f"{ti.task_id} waits for a decision. Approve or reject it instead of skipping it.")


def _take_mark(caller: Caller, approval: GuardedApproval, before: Any) -> None:
    """Turn an approver's mark into an answer: the task goes on at once, finds the answer, records it and ends."""
    ti = approval.ti
    deferred = lock_deferred(ti, approval.session)
    question = _open_question(approval, approval.question())
    _check_waits(ti, before)
    if approval.is_trial:
        _conflict(f"{ti.task_id} asks a question with several answers: choose one of them instead of marking it.")
    if caller.route.marked != (ti.dag_id, ti.run_id, ti.task_id):
        _conflict(f"{ti.task_id} waits for a decision. Mark only this task, or answer its question.")
    option, how = _MARKS[TaskInstanceState(ti.state)]
    for name in _MARKED_ATTRIBUTES:
        if (value := _before(ti, name)) is not _UNCHANGED:
            setattr(ti, name, value)
    _give(caller, approval, question, option, how, comment="")
    if detail := approval.detail():
        detail.responded_by = {"id": str(caller.name), "name": str(caller.name)}
        detail.responded_at = datetime.now(UTC)
        detail.chosen_options = [option]
        detail.params_input = {}
        _show_progress(approval, question, detail, option, caller, how)
        if deferred:
            resume(ti, detail)


def _check_detail(caller: Caller, approval: GuardedApproval, detail: HITLDetail) -> None:
    if detail.responded_at is None or _before(detail, "responded_at") is _UNCHANGED:
        return
    if not approval.is_approver(caller.name):
        _forbid(caller, approval, f"answer for {approval.ti.task_id}")
    question = _open_question(approval, approval.question())
    if approval.ti.state in State.finished:
        _conflict(
            f"{approval.ti.task_id} has ended without a decision. Clear it, and answer the question that it asks then."
        )
    option = (detail.chosen_options or [""])[0]
    comment = (detail.params_input or {}).get("comment") or ""
    if problem := comment_problem(comment):
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, problem)
    _give(caller, approval, question, option, How.AIRFLOW, comment=comment)
    _show_progress(approval, question, detail, option, caller, How.AIRFLOW)


def _check_run(caller: Caller, run: DagRun, session: Session) -> None:
    deleted = run in session.deleted
    succeeds = run.state == DagRunState.SUCCESS and _before(run, "state") is not _UNCHANGED
    if not deleted and not succeeds:
        return
    if may_all(caller.name, run.dag_id, session):
        return
    what = "delete this release" if deleted else "mark this release success"
    why = only_approvers(caller.name, approver_names(run.dag_id, session))
    raise HTTPException(status.HTTP_403_FORBIDDEN, f"{caller} may not {what}: {why}")


def _open_question(approval: GuardedApproval, question: Question | None) -> Question:
    if question is None:
        _conflict(f"{approval.ti.task_id} has not asked yet: there is nothing to decide.")
    if first := approval.decided(question) or approval.answer(question):
        _conflict(f"This is decided: {first}.")
    return question


def _give(
    caller: Caller, approval: GuardedApproval, question: Question, option: str, how: How, *, comment: str
) -> None:
    assert approval.rules is not None  # noqa: S101 (an approver has rules)
    approve = option == (PROMOTE if approval.is_trial else APPROVE)
    if approve and (refusal := approval.rules.refusal(str(caller.name), question.approvals, question.uploader)):
        raise HTTPException(status.HTTP_403_FORBIDDEN, refusal)
    stage = approval.rules.open_stage(question.approvals)
    unsigned = Answer(
        approve=approve,
        by=str(caller.name),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        how=how,
        comment=comment,
        stage=stage.name if approve and stage else "",
        model_package_arn=question.model_package_arn,
        option=option if approval.is_trial else "",
    )
    answer = unsigned.signed(proofs.signer(), question, proofs.TaskPlace.of(approval.ti))
    if not approval.give(question, answer):
        _conflict(f"This is decided: {first_answer(approval.ti, question)}.")
    # Checked again now that the answer is stored: the task records a decision before it looks for answers.
    if first := approval.decided(question):
        _conflict(f"This is decided: {first}.")


def first_answer(ti: TaskInstance, question: Question) -> str:
    """Read who answered first, in a session of its own.

    :param ti: the approval's task instance
    :param question: the question
    :returns: who decided what, as a clause
    """
    with create_session(scoped=False) as session:
        return str(GuardedApproval(ti, session).answer(question) or "somebody else was first")


def _show_progress(
    approval: GuardedApproval, question: Question, detail: HITLDetail, option: str, caller: Caller, how: How
) -> None:
    """Add an approval, and who is asked next, to the question's text."""
    assert approval.rules is not None  # noqa: S101 (an approver has rules)
    answer = approval.answer(question)
    if option != APPROVE or answer is None:
        return
    given = [*question.approvals, answer.approval]
    detail.body = (
        f"{detail.body or ''}\n\n{approval_line(answer.approval)}\n\nThen asked: {approval.rules.wanted(given)}."
    )


def _before(changed: Any, attribute: str) -> Any:
    """Return the value that the database has, or _UNCHANGED."""
    history: Any = inspect(changed).attrs[attribute].history
    if not history.has_changes():
        return _UNCHANGED
    return history.deleted[0] if history.deleted else None


def _goes_again(changed: TaskInstance | DagRun, session: Session) -> bool:
    """Tell whether a task or run may run again after this change: it is deleted, or gets a state other than failed."""
    if changed in session.deleted:
        return True
    return _before(changed, "state") is not _UNCHANGED and changed.state != TaskInstanceState.FAILED


def _check_waits(ti: TaskInstance, state: Any) -> None:
    if state in State.finished:
        _conflict(f"{ti.task_id} has ended without a decision. Clear it, and answer the question that it asks then.")


def _forbid(caller: Caller | TaskCaller, approval: GuardedApproval, what: str) -> NoReturn:
    raise HTTPException(status.HTTP_403_FORBIDDEN, f"{caller} may not {what}: {approval.why_not(caller.name)}")


def _conflict(why: str) -> NoReturn:
    raise HTTPException(status.HTTP_409_CONFLICT, why)
