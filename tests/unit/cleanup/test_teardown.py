"""Teardown: confirmed by name, done in order, resumed anywhere, failed while something is left."""

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.cleanup.model_resources import OwnedResource, RemovalStep
from slipway.cleanup.teardown import NothingLeftOperator, TeardownOperator
from slipway.errors import NotApproved, PermanentError, StackFailed
from slipway.signed.orders import ORDER, Act
from tests.unit.signatures import signed_order, teardown_context
from tests.unit.task_runs import context, run_task


class World:
    """Things in order of removal; stacks take one look to be gone, the rest goes at once."""

    def __init__(self, *, stuck_stack: bool = False) -> None:
        self.things = {
            "stack": RemovalStep.JOBS_AND_STACKS,
            "endpoint": RemovalStep.ENDPOINTS,
            "model": RemovalStep.MODELS,
        }
        self.deleting: set[str] = set()
        self.stuck_stack = stuck_stack
        self.ledger: list[str] = []
        self.cloudformation = self

    def failures(self, stack_id):
        return ["Endpoint (AWS::SageMaker::Endpoint) DELETE_FAILED: in use"]

    def settle(self, _trigger=None) -> None:
        """Finish the deletions that were started."""
        if not self.stuck_stack:
            for kind in self.deleting:
                self.things.pop(kind, None)
        self.deleting.clear()

    def remaining(self) -> list[OwnedResource]:
        return [
            OwnedResource(
                stage,
                kind,
                kind,
                self._status(kind),
                None if kind in self.deleting else lambda kind=kind: self._remove(kind),
            )
            for kind, stage in self.things.items()
        ]

    def _status(self, kind: str) -> str:
        if kind in self.deleting:
            return "DELETE_IN_PROGRESS"
        return "DELETE_FAILED" if self.stuck_stack and self.ledger else "UPDATE_COMPLETE"

    def _remove(self, kind: str) -> None:
        self.ledger.append(kind)
        if kind == "stack":
            self.deleting.add(kind)
        else:
            self.things.pop(kind)


def made(cls, world: World):
    operator = cls(task_id="remove")
    operator.__dict__["model_resources"] = lambda model: world
    return operator


def test_removes_stage_by_stage_and_leaves_nothing():
    world = World()
    removed = run_task(made(TeardownOperator, world), teardown_context("iris-model"), wait=world.settle)
    assert world.ledger == ["stack", "endpoint", "model"]
    assert removed == {"stack": 1, "endpoint": 1, "model": 1}
    assert made(NothingLeftOperator, world).execute(teardown_context("iris-model")) == []


def test_goes_on_after_an_interruption_without_asking_twice():
    world = World()
    with pytest.raises(TaskDeferred):
        made(TeardownOperator, world).execute(teardown_context("iris-model"))
    # The task was killed while it waited: the new attempt finds the deletion in progress.
    run_task(made(TeardownOperator, world), teardown_context("iris-model"), wait=world.settle)
    assert world.ledger == ["stack", "endpoint", "model"]


@pytest.mark.parametrize("order", [{}, {"by": "alice"}, signed_order(Act.TEARDOWN, "wine-model")])
def test_without_an_order_of_an_approver_nothing_is_removed(order):
    world, ordered = World(), teardown_context("iris-model")
    ordered["task_state_store"].set(ORDER, order)
    with pytest.raises(NotApproved, match="Only an approver may tear a model down"):
        made(TeardownOperator, world).execute(ordered)
    assert world.ledger == []


def test_an_order_is_carried_out_once():
    world, ordered = World(), teardown_context("iris-model")
    run_task(made(TeardownOperator, world), ordered, wait=world.settle)
    again = World()
    with pytest.raises(NotApproved, match="carried out already"):
        made(TeardownOperator, again).execute(ordered)
    assert again.ledger == []


def test_a_model_that_is_gone_is_no_error():
    world = World()
    world.things.clear()
    assert made(TeardownOperator, world).execute(teardown_context("iris-model")) == {}


def test_a_stack_that_cannot_be_deleted_is_tried_three_times_and_named():
    world = World(stuck_stack=True)
    with pytest.raises(StackFailed, match=r"DELETE_FAILED: in use"):
        run_task(made(TeardownOperator, world), teardown_context("iris-model"), wait=world.settle)
    assert world.ledger == ["stack"] * 3


def test_whatever_is_left_keeps_the_task_red():
    with pytest.raises(PermanentError, match="left: stack stack"):
        made(NothingLeftOperator, World()).execute(teardown_context("iris-model"))


@pytest.mark.parametrize(
    "form", [{"model": "iris-model", "confirm": "iris"}, {"model": "no-such-model", "confirm": "no-such-model"}]
)
def test_without_the_name_twice_nothing_is_removed(form):
    world = World()
    with pytest.raises(PermanentError, match="Nothing was removed"):
        made(TeardownOperator, world).execute(context({}, params=form))
    assert world.ledger == []
