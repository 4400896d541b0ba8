"""Replaces three of Airflow's answers by better ones; none of the requests changes anything."""

from __future__ import annotations

from http import HTTPStatus

from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from fastapi import HTTPException
from sqlalchemy import select
from sqlalchemy.orm import Session

from slipway.guard.approvals import GuardedApproval, approver_names, is_approval, rules_by_task
from slipway.guard.caller import Caller
from slipway.guard.forms import refused_form
from slipway.guard.matched_route import ANSWER, MARK_TASK_DRY_RUN, TRIGGER, Route


def may_replace(route: Route, status: HTTPStatus) -> bool:
    """Tell whether ``replacement`` may have a better answer."""
    return (
        route.leads_to(MARK_TASK_DRY_RUN)
        or (route.leads_to(ANSWER) and status is HTTPStatus.CONFLICT)
        or (route.leads_to(TRIGGER) and status is HTTPStatus.BAD_REQUEST)
    )


def replacement(caller: Caller, status: HTTPStatus, body: bytes) -> tuple[HTTPStatus, str] | None:
    """Find a better answer than Airflow's own, in the database.

    :param caller: who asks
    :param status: Airflow's own answer
    :param body: the request's body
    :returns: status and reason; None if Airflow's own stays
    """
    route = caller.route
    with create_session(scoped=False) as session:
        if route.leads_to(MARK_TASK_DRY_RUN):
            dag_id, _, task_id = route.task
            rules = rules_by_task(dag_id, session)
            if task_id not in rules or ((own := rules[task_id]) and caller.name in own.approvers):
                return None
            who = ", ".join(approver_names(dag_id, session))
            return HTTPStatus.FORBIDDEN, f"{caller} may not do this to an approval: only its approvers may ({who})."
        if route.leads_to(TRIGGER):
            problem = refused_form(route.task[0], body, session)
            return (status, problem) if problem else None
        if first := _who_was_first(route, session):
            return status, first
    return None


def _who_was_first(route: Route, session: Session) -> str | None:
    """Return who answered a question first; None if nobody has, or if it is no approval of Slipway."""
    dag_id, run_id, task_id = route.task
    statement = select(TaskInstance).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id == task_id,
        TaskInstance.map_index == route.map_index,
    )
    ti = session.scalar(statement)
    if ti is None or not is_approval(ti):
        return None
    approval = GuardedApproval(ti, session)
    try:
        question = approval.question()
        first = question and (approval.decided(question) or approval.answer(question))
    except HTTPException:
        # Slipway cannot read it, and the answer to the request has begun.
        return None
    return f"This is decided: {first}." if first else None
