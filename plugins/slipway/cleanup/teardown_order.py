"""The order for a teardown: which model a run removes, and the check that an approver ordered it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from slipway.errors import NotApproved
from slipway.model.approval_rules import Rules
from slipway.signed import orders

# The fields of the DAG's form, and the task that removes things.
MODEL = "model"
REMOVE_RECORD = "remove_record"
REMOVE = "remove"
TEARDOWN_TASKS = (REMOVE,)
# The entry of the task's state store that says when everything was removed.
_DONE = "done"


def torn_down_model(conf: Mapping[str, Any] | None) -> str | None:
    """Return the prefix of the model that a run with this conf tears down, or None."""
    value = (conf or {}).get(MODEL)
    return str(value) if value else None


def removes_record(form: Mapping[str, Any] | None) -> bool:
    """Tell whether a run with this form also removes the model's record from the Model Registry."""
    return (form or {}).get(REMOVE_RECORD) is True


def teardown_target(form: Mapping[str, Any]) -> str:
    """Return what the form asks for, as the order is signed: an order without the record never removes it."""
    return f"{form[MODEL]} and its record in the Model Registry" if removes_record(form) else str(form[MODEL])


def close(context: Mapping[str, Any]) -> None:
    """Record that the order has been carried out: it does not cover resources that are made later.

    :param context: the context of one of TEARDOWN_TASKS
    """
    context["task_state_store"].set(_DONE, datetime.now(UTC).isoformat(timespec="seconds"))


def check_open(context: Mapping[str, Any]) -> None:
    """Refuse to carry out an order twice.

    :param context: the context of one of TEARDOWN_TASKS
    :raises slipway.errors.NotApproved: when everything has been removed already
    """
    if done_at := context["task_state_store"].get(_DONE):
        raise NotApproved(
            "This teardown has been carried out already",
            resource=context["params"][MODEL],
            why=f"everything was removed at {done_at}",
            fix="have an approver trigger the DAG again to remove what was made since",
        )


def check(context: Mapping[str, Any], rules: Rules) -> orders.Order:
    """Refuse to remove anything unless an approver of the model has ordered it.

    :param context: the context of one of TEARDOWN_TASKS
    :param rules: who may approve, by the model file
    :returns: the order
    :raises slipway.errors.NotApproved: when there is no valid order
    """
    return orders.check(context, orders.Act.TEARDOWN, teardown_target(context["params"]), rules)
