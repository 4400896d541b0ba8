"""Roll-backs and teardowns: only approvers may start them, and who did is stored and signed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from fastapi import HTTPException, status
from sqlalchemy import select
from sqlalchemy.orm import Session

from slipway.cleanup.teardown_order import TEARDOWN_TASKS, teardown_target, torn_down_model
from slipway.deployment.roll_back_order import ROLL_BACK_TASKS
from slipway.guard import own_writes
from slipway.guard.approvals import only_approvers, rules_by_task, task_types
from slipway.guard.caller import Caller, TaskCaller
from slipway.model.approval_rules import Rules
from slipway.plan import roll_back_target_of
from slipway.signed.orders import ORDER, Act, Order
from slipway.signed.proofs import signer

# The class name of slipway.cleanup.teardown.TeardownOperator, whose import the API server needs for nothing else.
TEARDOWN_OPERATOR = "TeardownOperator"


@dataclass(frozen=True)
class NeededOrder:
    """What a run does that needs an order.

    :param act: what is done
    :param target: what it is done to, as the run's form says
    :param tasks: those that check the order
    :param rules: of each of the model's approvals; None for rules that cannot be read
    """

    act: Act
    target: str
    tasks: tuple[str, ...]
    rules: Collection[Rules | None]

    def may(self, name: str | None) -> bool:
        """Tell whether this person may order it."""
        return bool(self.rules) and all(one is not None and name in one.approvers for one in self.rules)

    def forbid(self, caller: Caller | TaskCaller) -> NoReturn:
        """Raise a 403 with the reason."""
        approvers = sorted({name for one in self.rules if one for name in one.approvers})
        why = only_approvers(caller.name, approvers, nobody="it has none")
        raise HTTPException(status.HTTP_403_FORBIDDEN, f"{caller} may not {self.act} ({self.target}): {why}")


def needed_order(dag_id: str, conf: Mapping[str, Any] | None, session: Session) -> NeededOrder | None:
    """Find out whether a run needs an order.

    :param dag_id: its DAG
    :param conf: its form
    :param session: the session whose flush is under way
    :returns: None for every other run
    """
    # A form may have more fields than its DAG reads, so the DAG's tasks decide which field counts.
    if (target := roll_back_target_of(conf)) and (rules := rules_by_task(dag_id, session)):
        return NeededOrder(Act.ROLL_BACK, target, ROLL_BACK_TASKS, rules.values())
    if conf and (model := torn_down_model(conf)) and TEARDOWN_OPERATOR in task_types(dag_id, session):
        return NeededOrder(Act.TEARDOWN, teardown_target(conf), TEARDOWN_TASKS, rules_by_task(model, session).values())
    return None


def check_order(caller: Caller | TaskCaller, run: DagRun, session: Session) -> None:
    """Let only an approver start a run that needs an order, or run its tasks again.

    :param caller: who starts or changes the run
    :param run: the run
    :param session: the session whose flush is under way
    :raises fastapi.HTTPException: 403 with the reason
    """
    found = needed_order(run.dag_id, run.conf, session)
    if found and not found.may(caller.name):
        found.forbid(caller)


def refuse_paused(run: DagRun, session: Session) -> None:
    """Refuse to start a run that needs an order while its DAG is paused: it would wait unnoticed.

    The scheduler starts no run of a paused DAG, and the UI may send its request to unpause at the same moment.
    https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/dags.html#dag-pausing-deactivation-and-deletion

    :param run: the run that is to be started
    :param session: the session whose flush is under way
    :raises fastapi.HTTPException: 409 with the reason
    """
    found = needed_order(run.dag_id, run.conf, session)
    if found and session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == run.dag_id)):
        raise HTTPException(
            status.HTTP_409_CONFLICT,
            f"The DAG {run.dag_id} is paused, so this run would wait instead of starting to {found.act}. "
            "Unpause the DAG, then trigger it again.",
        )


def write_order(caller: Caller, run: DagRun, session: Session) -> None:
    """Store who ordered a run, in the transaction that starts it.

    :param caller: who starts the run, as check_order let through
    :param run: the run that has just been written
    :param session: its session
    """
    found = needed_order(run.dag_id, run.conf, session)
    if found is None:
        return
    order = Order(found.act, str(caller.name), datetime.now(UTC).isoformat(), found.target)
    value = json.dumps(order.signed(signer(), run.dag_id, run.run_id).to_json())
    row = {"dag_run_id": run.id, "dag_id": run.dag_id, "run_id": run.run_id, "map_index": -1}
    row |= {"key": ORDER, "value": value}
    own_writes.write_state(session, [{**row, "task_id": task_id} for task_id in found.tasks])
