"""Which model a run tears down, and who has ordered it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from slipway.errors import NotApproved
from slipway.model.approvers import Rules
from slipway.signed import orders

# The field of the DAG's form, and the task that removes things.
MODEL = "model"
REMOVE = "remove"
ORDERED_TASKS = (REMOVE,)
# The entry of its state store that says when all was removed.
_DONE = "done"


def model_to_tear_down(conf: Mapping[str, Any] | None) -> str | None:
    """:returns: the model that a run with this conf tears down; None where it names none"""
    value = (conf or {}).get(MODEL)
    return str(value) if value else None


def close(context: Mapping[str, Any]) -> None:
    """Remember that the order has been carried out: what comes to life later was not meant.

    :param context: the context of one of ORDERED_TASKS
    """
    context["task_state_store"].set(_DONE, datetime.now(UTC).isoformat(timespec="seconds"))


def check_open(context: Mapping[str, Any]) -> None:
    """Refuse to carry an order out for a second time.

    :param context: the context of one of ORDERED_TASKS
    :raises slipway.errors.NotApproved: when everything was removed before
    """
    if done_at := context["task_state_store"].get(_DONE):
        raise NotApproved(
            "This teardown was carried out before",
            resource=context["params"][MODEL],
            why=f"everything was removed at {done_at}",
            fix="an approver triggers the DAG anew, to remove what has been made since",
        )


def check(context: Mapping[str, Any], rules: Rules) -> orders.Order:
    """Refuse to remove anything unless an approver of the model has ordered it.

    :param context: the context of one of ORDERED_TASKS
    :param rules: whose approvals the model file asks for
    :returns: the order
    :raises slipway.errors.NotApproved: when there is no order that counts
    """
    return orders.check(context, orders.Act.TEARDOWN, context["params"][MODEL], rules)
