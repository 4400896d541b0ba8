"""Runs that roll production back: only approvers start them, and it is written down who did."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from airflow.models.dagrun import DagRun
from fastapi import HTTPException, status
from sqlalchemy.orm import Session

from slipway.approval_guard import own_writes
from slipway.approval_guard.approvals import approver_names, may_all, rules_by_task
from slipway.approval_guard.caller import Caller
from slipway.roll_back_order import ORDER, ORDERED_TASKS, Order, asked_for


def check_start(caller: Caller, run: DagRun, session: Session) -> None:
    """Refuse to let anybody but an approver start a roll-back.

    :param caller: who starts the run
    :param run: the run that is about to be written
    :param session: the session whose flush is under way
    :raises fastapi.HTTPException: 403 with the reason
    """
    if asked_for(run.conf) is None:
        return
    if may_all(caller.name, run.dag_id, session):
        return
    who = ", ".join(approver_names(run.dag_id, session))
    raise HTTPException(
        status.HTTP_403_FORBIDDEN, f"{caller} may not roll production back: only its approvers may ({who})."
    )


def write_order(caller: Caller, run: DagRun, session: Session) -> None:
    """Write down who ordered a roll-back, in the transaction that starts its run.

    :param caller: who starts the run, as check_start let through
    :param run: the run, written a moment ago
    :param session: its session
    """
    target = asked_for(run.conf)
    if target is None or not rules_by_task(run.dag_id, session):
        return
    order = Order(str(caller.name), datetime.now(UTC).isoformat(timespec="seconds"), target)
    row = {"dag_run_id": run.id, "dag_id": run.dag_id, "run_id": run.run_id, "map_index": -1}
    row |= {"key": ORDER, "value": json.dumps(order.to_json())}
    own_writes.write_state(session, [{**row, "task_id": task_id} for task_id in ORDERED_TASKS])
