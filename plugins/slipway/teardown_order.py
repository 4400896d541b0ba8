"""Which model a run tears down, and who has ordered it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway import orders
from slipway.approval_rules import Rules

# The field of the DAG's form, and the task that removes things.
MODEL = "model"
REMOVE = "remove"
ORDERED_TASKS = (REMOVE,)


def asked_for(conf: Mapping[str, Any] | None) -> str | None:
    """:returns: the model that a run with this conf tears down; None where it names none"""
    value = (conf or {}).get(MODEL)
    return str(value) if value else None


def check(context: Mapping[str, Any], rules: Rules) -> orders.Order:
    """Refuse to remove anything unless an approver of the model has ordered it.

    :param context: the context of one of ORDERED_TASKS
    :param rules: whose approvals the model file asks for
    :returns: the order
    :raises slipway.errors.NotApproved: when there is no order that counts
    """
    return orders.check(context, orders.Act.TEARDOWN, context["params"][MODEL], rules)
