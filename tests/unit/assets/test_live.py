"""When production's change is announced, and what the event says: once for each change of what is live."""

from dataclasses import replace

import pytest

from slipway.assets import live
from slipway.assets.live import announce
from tests.unit.releases import release_plan, xcoms
from tests.unit.task_runs import context, emitted

PLACE = ("us-west-2", "123456789012")
URI = "sagemaker://us-west-2/123456789012/endpoint/iris-model-production"
TESTED = {"rows": 30, "accuracy": 0.9667, "accuracy_minimum": 0.9, "variants": {"model-a": 30}}


def arn(version: int) -> str:
    return f"arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/{version}"


def deployed(version: int, stack: str = "stack/1", **outputs: str) -> dict:
    return {"stack_id": stack, "outputs": {"ModelPackageArn": arn(version), **outputs}}


class Production:
    """Announces, and keeps the events as Airflow does: of tasks that ended well."""

    def __init__(self) -> None:
        self.events = []

    def newest_event(self, alias):
        assert alias.name == "slipway-live-iris-model"
        return self.events[-1] if self.events else None

    def announce(self, version: int, *, killed=False, plan=None, judged=False, change="released", **of_stack) -> dict:
        ctx = context(xcoms())
        announce(
            ctx, plan or release_plan(), PLACE, deployed(version, **of_stack), TESTED, change=change, judged=judged
        )
        found = emitted(ctx)
        if not killed:
            self.events += found
        return found[0].extra if found else {}

    @property
    def versions(self) -> list[int]:
        return [event.extra["version"] for event in self.events]


@pytest.fixture
def production(monkeypatch):
    made = Production()
    monkeypatch.setattr(live, "newest_event", made.newest_event)
    return made


def test_the_event_says_what_is_live_how_well_it_does_and_which_run_did_it(production):
    said = production.announce(3)
    plan = release_plan()
    assert [event.asset.uri for event in production.events] == [URI]
    assert said.pop("run")["run_id"] == "manual__1"
    assert said == {
        "model": "iris-model",
        "change": "released",
        "revision": plan.revision_id,
        "version_id": plan.revision.version_id,
        "digest": plan.digest,
        "version": 3,
        "model_package_arn": arn(3),
        "stack_id": "stack/1",
        "held_out": {"rows": 30, "accuracy": 0.9667, "accuracy_minimum": 0.9},
        "rolled_back_by": None,
    }


def test_an_attempt_that_was_killed_left_nothing_and_the_next_one_announces(production):
    production.announce(1, killed=True)
    production.announce(1)
    assert production.versions == [1]


def test_a_task_that_ends_well_again_announces_nothing(production):
    production.announce(1)
    assert production.announce(1) == {}
    assert production.versions == [1]


def test_each_change_and_the_way_back_is_an_event_of_its_own(production):
    plan = replace(release_plan(), rolled_back_by="alice")
    production.announce(1)
    production.announce(2)
    assert production.announce(1, plan=plan, change="rolled back")["rolled_back_by"] == "alice"
    assert production.versions == [1, 2, 1]


def test_the_same_model_after_a_teardown_is_announced_again(production):
    production.announce(1)
    production.announce(1, stack="stack/2")
    assert production.versions == [1, 1]


def test_a_model_on_trial_is_not_live_until_it_wins(production):
    production.announce(1, judged=True)
    production.announce(2, judged=True, ModelBDataUrl="s3://b/new")
    assert production.versions == [1]
    assert production.announce(2, change="promoted")["change"] == "promoted"
    assert production.versions == [1, 2]


def test_beside_the_live_one_without_a_trial_the_newest_counts_as_live(production):
    production.announce(1)
    production.announce(2, ModelBDataUrl="s3://b/new")
    assert production.versions == [1, 2]


def test_an_event_of_somebody_else_does_not_stop_ours(production):
    production.announce(1)
    production.events[-1].extra = {}
    production.announce(1)
    assert len(production.events) == 2


def test_an_endpoint_elsewhere_is_another_one(production):
    production.announce(1)
    production.events[-1].asset.uri = URI.replace("us-west-2", "eu-west-1")
    production.announce(1)
    assert len(production.events) == 2
