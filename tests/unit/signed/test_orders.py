"""Who has ordered what, as the tasks of an ordered run read it."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from slipway.cleanup import teardown_order
from slipway.deployment import roll_back_order
from slipway.errors import NotApproved
from slipway.model.approval_rules import ONLY_STAGE, ApprovalStage, Rules
from slipway.plan import roll_back_target, roll_back_target_of
from slipway.signed.orders import ORDER, VALID_FOR, Act, Order
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import signed_order

RULES = Rules((ApprovalStage(ONLY_STAGE, ("alice", "carol")),))
BACK = {"roll_back_to": "previous"}


def context(order: dict | None, conf: dict | None, run_id: str = "manual__1") -> dict:
    store = MemoryStore(**({ORDER: order} if order else {}))
    run = SimpleNamespace(dag_id="iris-model", run_id=run_id, conf=conf)
    return {"task_state_store": store, "dag_run": run, "params": conf}


def ago(**age: float) -> str:
    return (datetime.now(UTC) - timedelta(**age)).isoformat()


@pytest.mark.parametrize("conf", [None, {}, {"roll_back_to": None}, {"roll_back_to": ""}, {"version_id": "v1"}])
def test_a_run_without_a_target_is_a_release(conf):
    assert roll_back_target_of(conf) is None
    assert roll_back_target(context(None, conf)) is None


def test_an_approvers_order_stands_as_long_as_it_is_valid():
    for at in (ago(), ago(hours=23)):
        order = signed_order(Act.ROLL_BACK, "previous", at=at)
        assert roll_back_order.check(context(order, BACK), RULES) == Order.from_json(order)


FORGED = Order(Act.ROLL_BACK, "alice", ago(), "previous").to_json()


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (None, "nobody is on record"),
        ({"by": "alice"}, "nobody is on record"),
        ("alice", "nobody is on record"),
        (FORGED, "has no signature"),
        ({**signed_order(Act.ROLL_BACK, "previous", by="bob"), "by": "alice"}, "has no signature"),
        ({**signed_order(Act.ROLL_BACK, "previous", at=ago(days=90)), "at": ago()}, "has no signature"),
        (signed_order(Act.ROLL_BACK, "previous", run_id="manual__2"), "has no signature"),
        (signed_order(Act.ROLL_BACK, "previous", dag_id="wine-model"), "has no signature"),
        (signed_order(Act.ROLL_BACK, "previous", by="bob"), "bob is no approver"),
        (signed_order(Act.ROLL_BACK, "previous", by="Alice"), "Alice is no approver.*Alice is not alice"),
        (signed_order(Act.ROLL_BACK, "arn:aws:sagemaker:x"), r"alice ordered to roll production back \(arn"),
        (signed_order(Act.TEARDOWN, "previous"), "alice ordered to tear a model down"),
        (signed_order(Act.ROLL_BACK, "previous", at=ago(seconds=VALID_FOR.total_seconds() + 60)), "ended at"),
    ],
)
def test_anything_else_does_not(order, why):
    with pytest.raises(NotApproved, match=rf"{why}.*alice, carol"):
        roll_back_order.check(context(order, BACK), RULES)


def test_a_teardown_is_ordered_for_the_model_that_its_form_names():
    form = {"model": "iris-model", "confirm": "iris-model"}
    assert teardown_order.check(context(signed_order(Act.TEARDOWN, "iris-model"), form), RULES).by == "alice"
    with pytest.raises(NotApproved, match="Only an approver may tear a model down"):
        teardown_order.check(context(signed_order(Act.TEARDOWN, "wine-model"), form), RULES)
