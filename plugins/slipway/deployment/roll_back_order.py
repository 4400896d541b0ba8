"""What a run rolls back to, and who has ordered it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.model.approvers import Rules
from slipway.plan import DEPLOY_PRD, ROLL_BACK, wanted
from slipway.signed import orders

PREVIOUS = "previous"
ORDERED_TASKS = (ROLL_BACK, DEPLOY_PRD)


def check(context: Mapping[str, Any], rules: Rules) -> orders.Order:
    """Refuse to roll back unless an approver has ordered it.

    :param context: the context of one of ORDERED_TASKS
    :param rules: who may approve, by the model file as it is now
    :returns: the order
    :raises slipway.errors.NotApproved: when there is no order that counts
    """
    return orders.check(context, orders.Act.ROLL_BACK, str(wanted(context)), rules)
