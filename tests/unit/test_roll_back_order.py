"""Who has ordered a roll-back, as the tasks of its run read it."""

from types import SimpleNamespace

import pytest

from slipway.approval_rules import ONLY_STAGE, Rules, Stage
from slipway.errors import NotApproved
from slipway.roll_back_order import ORDER, Order, asked_for, check, wanted
from tests.unit.scripted_aws import MemoryStore

RULES = Rules((Stage(ONLY_STAGE, ("alice", "carol")),))
ALICES = Order("alice", "2026-06-01T08:00:00+00:00", "previous")


def context(order: Order | None, conf: dict | None) -> dict:
    store = MemoryStore(**({ORDER: order.to_json()} if order else {}))
    return {"task_state_store": store, "dag_run": SimpleNamespace(conf=conf)}


@pytest.mark.parametrize("conf", [None, {}, {"roll_back_to": None}, {"roll_back_to": ""}, {"version_id": "v1"}])
def test_a_run_without_a_target_is_a_release(conf):
    assert asked_for(conf) is None
    assert wanted(context(None, conf)) is None


def test_an_approvers_order_stands():
    assert check(context(ALICES, {"roll_back_to": "previous"}), RULES) == ALICES


@pytest.mark.parametrize(
    ("order", "target", "why"),
    [
        (None, "previous", "nobody is on record"),
        (Order("bob", ALICES.at, "previous"), "previous", "bob is no approver"),
        (Order("Alice", ALICES.at, "previous"), "previous", "Alice is no approver.*Alice is not alice"),
        (ALICES, "arn:aws:sagemaker:x", "alice ordered to roll back to previous"),
    ],
)
def test_anything_else_does_not(order, target, why):
    with pytest.raises(NotApproved, match=rf"{why}.*alice, carol"):
        check(context(order, {"roll_back_to": target}), RULES)
