"""What a run rolls back to, and who has ordered it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.model.approvers import Rules
from slipway.signed import orders

# The field of the release DAG's form.
ROLL_BACK_TO = "roll_back_to"
PREVIOUS = "previous"
# The task that works out what to deploy, and the one that deploys it: each checks the order itself.
ROLL_BACK = "roll_back"
DEPLOY_PRD = "deploy_prd"
ORDERED_TASKS = (ROLL_BACK, DEPLOY_PRD)


def asked_for(conf: Mapping[str, Any] | None) -> str | None:
    """:returns: what a run with this conf rolls back to; None for a release"""
    value = (conf or {}).get(ROLL_BACK_TO)
    return str(value) if value else None


def wanted(context: Mapping[str, Any]) -> str | None:
    """:returns: what the running run rolls back to; None for a release"""
    return asked_for(getattr(context.get("dag_run"), "conf", None))


def check(context: Mapping[str, Any], rules: Rules) -> orders.Order:
    """Refuse to roll back unless an approver has ordered it.

    :param context: the context of one of ORDERED_TASKS
    :param rules: who may approve, by the model file as it is now
    :returns: the order
    :raises slipway.errors.NotApproved: when there is no order that counts
    """
    return orders.check(context, orders.Act.ROLL_BACK, str(wanted(context)), rules)
