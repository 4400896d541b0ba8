"""The drift watcher: it reports a difference once, until it changes or is gone, and never during a release."""

import asyncio
from types import SimpleNamespace

import pytest

from slipway.deployment.drift import Difference, Remedy
from slipway.deployment.drift_turns import DriftTurns, Turns, WatchedStack
from slipway.deployment.drift_watch import (
    REPORTED,
    TURNS,
    DriftWatcherTrigger,
    build_drift_dags,
    changed,
    report,
    stacks_of,
)
from slipway.errors import StackFailed
from tests.unit.deployment.test_drift_turns import listed
from tests.unit.request_samples import iris_model
from tests.unit.scripted_aws import MemoryStore

PRD, DEV = (WatchedStack("iris", one, "b", f"iris-{one}") for one in ("production", "development"))
ALARM = Difference("the alarm a was deleted", Remedy.REVERTED)
TAG = Difference("a tag", Remedy.PERSON, "aws fix")


class Live:
    """What differs in each stack; None while a release holds it."""

    def __init__(self) -> None:
        self.production: list[Difference] | None = []
        self.store, self.told = MemoryStore(), []

    def compare(self, stack):
        return self.production if stack == PRD else []

    def report(self) -> int:
        return report([DEV, PRD], self.compare, self.store, lambda *told: self.told.append(told))

    @property
    def emits(self) -> bool:
        return bool(changed([DEV, PRD], self.compare, self.store.get(REPORTED) or {}))


def test_a_difference_is_reported_once_until_it_changes_or_is_gone():
    live = Live()
    assert not live.emits
    live.production = [ALARM]
    assert live.emits
    with pytest.raises(StackFailed, match=r"mlops-deploy-iris-prd: the alarm a was deleted"):
        live.report()
    assert live.told == [(PRD, "the alarm a was deleted", "the next release of the model puts right the rest")]
    assert not live.emits

    live.production = [ALARM, TAG]
    assert live.emits
    with pytest.raises(StackFailed, match=r"a tag\. Fix: run `aws fix`; the next release"):
        live.report()

    # A release holds the stack: what was reported is still known afterwards.
    live.production = None
    assert not live.emits
    live.production = [ALARM, TAG]
    assert not live.emits

    live.production = []
    assert live.emits
    assert live.report() == 1
    assert not live.emits
    live.production = [ALARM]
    assert live.emits


def test_both_stacks_of_each_model_are_watched():
    model = iris_model()
    assert [stack.name for stack in stacks_of([model])] == [
        "mlops-deploy-iris-model-dev",
        "mlops-deploy-iris-model-prd",
    ]
    (dag,) = build_drift_dags([model])
    assert (dag.dag_id, dag.max_active_runs) == ("drift", 1)
    assert build_drift_dags([]) == []


def test_the_trigger_survives_serialization_and_emits_what_is_new():
    stacks = [{"model": "iris", "environment": "production", "bucket": "b", "endpoint": "iris-production"}]
    path, arguments = DriftWatcherTrigger(stacks=stacks, aws_conn_id="aws", poll_seconds=5.0).serialize()
    assert path == "slipway.deployment.drift_watch.DriftWatcherTrigger"
    assert arguments == {"stacks": stacks, "aws_conn_id": "aws", "poll_seconds": 5.0}

    class Watching(DriftWatcherTrigger):
        def turns(self):
            return DriftTurns([PRD], SimpleNamespace(read=lambda: [listed("iris-production")]), lambda stack: [ALARM])

    watching = Watching(**arguments)
    watching.asset_state_store = MemoryStore()

    async def first():
        async for event in watching.run():
            return event.payload

    assert asyncio.run(first()) == {"waiting": 1}
    assert Turns.from_json(watching.asset_state_store.get(TURNS)).found == {
        "iris/production": ("the alarm a was deleted",)
    }
