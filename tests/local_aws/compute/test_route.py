"""Which fleet a request goes to, and which instances a route keeps."""

import random
from collections import Counter
from pathlib import Path

import pytest

from local_aws.compute.base import VariantSpec
from local_aws.compute.fleet import Fleet
from local_aws.compute.route import Route
from tests.local_aws.load import plausible

REQUESTS = 2000


@pytest.fixture(autouse=True)
def the_same_chances_in_each_run():
    random.seed(7)


def fleet(name, config, weight=1.0, instances=1):
    """A fleet whose instances are only names, because a route never calls them."""
    spec = VariantSpec(name, config, "image", None, instances, weight)
    return Fleet(spec, Path(config) / name, [f"{config}-{name}-{number}" for number in range(instances)])


def spread(route, target_variant=None):
    chosen = [route.choose(target_variant).spec for _ in range(REQUESTS)]
    return Counter((spec.model_name, spec.name) for spec in chosen)


def test_weights_hold_within_a_configuration():
    route = Route.of([fleet("model-a", "old", 9.0), fleet("model-b", "old", 1.0)])
    assert plausible(spread(route)["old", "model-b"], REQUESTS, 0.1)
    assert spread(route, "model-b") == {("old", "model-b"): REQUESTS}
    assert route.choose("model-z") is None


def test_weights_that_are_all_zero_are_equal():
    route = Route.of([fleet("model-a", "old", 0.0), fleet("model-b", "old", 0.0)])
    assert plausible(spread(route)["old", "model-b"], REQUESTS, 0.5)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 0.1), (0.1, 100.0)])
def test_share_of_the_new_fleet_does_not_hang_on_the_weights_of_two_configurations(weights):
    old, new = (fleet("model-a", config, weight) for config, weight in zip(("old", "new"), weights, strict=True))
    route = Route.between([old], [new], {"model-a": 0.2})
    for target in (None, "model-a"):
        assert plausible(spread(route, target)["new", "model-a"], REQUESTS, 0.2)


def test_each_of_several_variants_has_its_share():
    old = [fleet("model-a", "old", 0.9), fleet("model-b", "old", 0.1)]
    new = [fleet("model-a", "new", 0.9), fleet("model-b", "new", 0.1)]
    counts = spread(Route.between(old, new, {"model-a": 0.5, "model-b": 1.0}))
    assert plausible(counts["new", "model-a"], REQUESTS, 0.45)
    assert plausible(counts["new", "model-b"], REQUESTS, 0.1)
    assert counts["old", "model-b"] == 0


def test_standby_is_kept_and_not_asked():
    old, new = fleet("model-a", "old", instances=2), fleet("model-a", "new", instances=2)
    canary = Fleet(new.spec, new.opt_ml, new.instances[:1])
    route = Route.between([old], [canary], {"model-a": 1.0}).with_standby([new])
    assert spread(route) == {("new", "model-a"): REQUESTS}
    assert sorted(route.instances()) == ["new-model-a-0", "new-model-a-1", "old-model-a-0", "old-model-a-1"]
    assert {held.opt_ml.parent.name for held in route.held} == {"old", "new"}


def test_fleet_without_an_instance_is_left_out():
    old, new = fleet("model-a", "old"), fleet("model-a", "new")
    route = Route.between([old], [new], {"model-a": 0.9})
    assert {route.choose(None, [new]).spec.model_name for _ in range(100)} == {"old"}
    assert {route.choose("model-a", [new]).spec.model_name for _ in range(100)} == {"old"}
    assert route.choose(None, [old, new]) in (old, new)
    # Another variant is not used instead.
    route = Route.of([old, fleet("model-b", "old", 0.0)])
    assert {route.choose(None, [old]).spec.name for _ in range(100)} == {"model-a"}
