"""Who has ordered a roll-back: what the API server and the tasks of the run tell each other.

The API server writes the order in the transaction that starts the run, so that it exists if and only if an approver
started it through the API: see slipway/approval_guard. What a run's row says about who triggered it is not enough: a
command line writes the name of an operating system's user there, and a run that another run starts inherits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from slipway.approval_rules import Rules
from slipway.errors import NotApproved
from slipway.people import likeness

# The field of the release DAG's form.
ROLL_BACK_TO = "roll_back_to"
PREVIOUS = "previous"
# The task that works out what to deploy, and the one that deploys it: each checks the order itself.
ROLL_BACK, DEPLOY_PRD = "roll_back", "deploy_prd"
ORDERED_TASKS = (ROLL_BACK, DEPLOY_PRD)
# The entry of these tasks' state stores that holds the order.
ORDER = "ordered"


@dataclass(frozen=True)
class Order:
    """An approver's order to roll production back.

    :param by: the person's Airflow user name
    :param at: ISO 8601, UTC
    :param roll_back_to: what the form said
    """

    by: str
    at: str
    roll_back_to: str

    def to_json(self) -> dict[str, Any]:
        """:returns: plain JSON for the state store"""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """:param value: what ``to_json`` returned"""
        return cls(**value)


def asked_for(conf: Mapping[str, Any] | None) -> str | None:
    """:returns: what a run with this conf rolls back to; None for a release"""
    value = (conf or {}).get(ROLL_BACK_TO)
    return str(value) if value else None


def wanted(context: Mapping[str, Any]) -> str | None:
    """:returns: what the running run rolls back to; None for a release"""
    return asked_for(getattr(context.get("dag_run"), "conf", None))


def check(context: Mapping[str, Any], rules: Rules) -> Order:
    """Refuse to roll back unless an approver has ordered it.

    :param context: the context of one of ORDERED_TASKS
    :param rules: who may approve, by the model file as it is now
    :returns: the order
    :raises NotApproved: when there is no order, or its author is no approver any more
    """
    target, approvers = wanted(context), ", ".join(rules.approvers)
    value = context["task_state_store"].get(ORDER)
    order = Order.from_json(value) if value else None
    if order is None:
        why = "nobody is on record as having started this run through Airflow's API"
    elif order.roll_back_to != target:
        why = f"{order.by} ordered to roll back to {order.roll_back_to}, this run is about {target}"
    elif order.by not in rules.approvers:
        why = f"{order.by} is no approver of this model.{likeness(order.by, rules.approvers)}"
    else:
        return order
    raise NotApproved(
        "Only an approver may roll production back",
        resource=target,
        why=why,
        fix=f"an approver ({approvers}) triggers the DAG with {ROLL_BACK_TO}, in the UI or by the API; a command line "
        "and other runs do not say who wants it",
    )
