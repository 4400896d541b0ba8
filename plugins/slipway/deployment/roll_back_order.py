"""The order for a roll-back: the check that an approver ordered it, and that the plan follows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.errors import NotApproved
from slipway.model.approval_rules import Rules
from slipway.plan import DEPLOY_PRD, ROLL_BACK, ReleasePlan, roll_back_target
from slipway.signed import orders

ROLL_BACK_TASKS = (ROLL_BACK, DEPLOY_PRD)


def check(context: Mapping[str, Any], rules: Rules) -> orders.Order:
    """Refuse to roll back unless an approver has ordered it.

    :param context: the context of one of ROLL_BACK_TASKS
    :param rules: who may approve, by the model file as it is now
    :returns: the order
    :raises slipway.errors.NotApproved: when there is no valid order
    """
    return orders.check(context, orders.Act.ROLL_BACK, str(roll_back_target(context)), rules)


def check_plan(context: Mapping[str, Any], rules: Rules, plan: ReleasePlan, stack_name: str) -> None:
    """Refuse to deploy a roll-back that no approver ordered, or with another sequence than the order's.

    :param context: the context of one of ROLL_BACK_TASKS
    :param rules: who may approve, by the model file as it is now
    :param plan: the plan of the roll-back
    :param stack_name: for the message
    :raises slipway.errors.NotApproved: when there is no valid order, or it is not the order of this plan
    """
    order = check(context, rules)
    if plan.sequence != order.at:
        raise NotApproved(
            "This is not the roll-back that was ordered",
            resource=stack_name,
            why=f"{order.by} ordered it at {order.at}, but the plan is of {plan.sequence}",
            fix="clear the task roll_back, which makes the plan",
        )
