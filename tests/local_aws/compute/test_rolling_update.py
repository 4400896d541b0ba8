"""The steps of a rolling deployment, on a scripted endpoint."""

from pathlib import Path

import pytest

from local_aws.compute.base import ContainerFailed, VariantSpec
from local_aws.compute.endpoint_update import Bake, EndpointActions, EndpointUpdate
from local_aws.compute.fleet import Fleet
from local_aws.compute.rolling_update import RollbackFailed, RollingUpdate
from local_aws.compute.route import Route
from local_aws.compute.update_policy import CapacitySize, RolledBack, UpdatePolicy
from local_aws.settings import Clock

ONE = CapacitySize(1, percent=False)


class ScriptedEndpoint:
    """Records its routes. Instances are names; `failing` has the numbers of those that do not start."""

    def __init__(self, failing=()):
        self.failing = failing
        self.started = 0
        self.routes = []

    def start(self, spec, opt_ml, count):
        names = [f"{spec.model_name}-{self.started + number}" for number in range(count)]
        self.started += count
        return names

    def wait_ready(self, instances):
        if any(int(name.rpartition("-")[2]) in self.failing for name in instances):
            raise ContainerFailed("it did not start")

    def shape(self):
        """For each route: how many old and new instances it keeps, and the new ones' share."""
        shapes = []
        for route in self.routes:
            count = {"old": 0, "new": 0}
            for name in route.instances():
                count[name.partition("-")[0]] += 1
            share = sum(lane.share for lane in route.lanes if lane.fleet.spec.model_name == "new")
            shapes.append((count["old"], count["new"], round(share, 2)))
        return shapes


class Alarms:
    """Goes off at one check, counted from the first."""

    def __init__(self, look=None):
        self.looks, self.look = 0, look
        self.statuses = []

    def report(self, stage):
        self.statuses.append(stage.status)

    def tripped(self):
        self.looks += 1
        return "breached" if self.looks == self.look else None

    def wait(self, seconds):
        raise AssertionError("nothing is waited for here")


def rolling(endpoint, alarms, old=3, new=3, **changes):
    policy = UpdatePolicy("rolling", **{"size": ONE, "rollback_size": CapacitySize(100, percent=True), **changes})
    specs = [VariantSpec("model-a", name, "image", None, count) for name, count in (("old", old), ("new", new))]
    route = Route.of([Fleet(specs[0], Path("old"), [f"old-was-{number}" for number in range(old)])])
    actions = EndpointActions(endpoint.start, endpoint.wait_ready, endpoint.routes.append)
    bake = Bake(policy, alarms, Clock())
    return RollingUpdate(EndpointUpdate(actions, route, specs[1:], Path("new"), policy, bake))


def test_each_batch_replaces_as_much_as_it_adds():
    endpoint, alarms = ScriptedEndpoint(), Alarms()
    rolling(endpoint, alarms).deploy()
    assert endpoint.shape() == [(3, 1, 0.33), (2, 1, 0.33), (2, 2, 0.67), (1, 2, 0.67), (1, 3, 1.0), (0, 3, 1.0)]
    assert alarms.statuses == ["Creating", "ActivatingTraffic", "Baking", "Deleting"] * 3


def test_fleets_of_different_sizes_keep_their_shares():
    endpoint = ScriptedEndpoint()
    rolling(endpoint, Alarms(), old=1, new=4, size=CapacitySize(50, percent=True)).deploy()
    assert endpoint.shape() == [(1, 2, 0.5), (1, 2, 0.5), (1, 4, 1.0), (0, 4, 1.0)]


def test_alarm_brings_the_whole_old_fleet_back_before_the_traffic():
    endpoint, alarms = ScriptedEndpoint(), Alarms(look=2)
    with pytest.raises(RolledBack, match="breached"):
        rolling(endpoint, alarms).deploy()
    # At the second batch's bake one of three old instances is gone.
    assert endpoint.shape()[-2:] == [(2, 2, 0.67), (3, 0, 0.0)]
    assert alarms.statuses[-1] == "RollingBack"


def test_roll_back_goes_by_batches_and_never_gives_the_new_fleet_more():
    endpoint = ScriptedEndpoint()
    with pytest.raises(RolledBack):
        rolling(endpoint, Alarms(look=3), rollback_size=ONE).deploy()
    assert endpoint.shape()[-4:] == [(1, 3, 1.0), (1, 2, 0.67), (2, 1, 0.33), (3, 0, 0.0)]
    endpoint = ScriptedEndpoint()
    with pytest.raises(RolledBack):
        rolling(endpoint, Alarms(look=1), rollback_size=ONE).deploy()
    assert endpoint.shape() == [(3, 1, 0.33), (3, 0, 0.0)]


def test_batch_that_does_not_start_is_taken_back():
    endpoint = ScriptedEndpoint(failing=[1])
    with pytest.raises(ContainerFailed, match="did not start"):
        rolling(endpoint, Alarms()).deploy()
    assert endpoint.shape()[-1] == (3, 0, 0.0)


def test_roll_back_that_fails_leaves_what_is_left_of_the_old_fleet():
    endpoint = ScriptedEndpoint(failing=[2])
    with pytest.raises(RollbackFailed, match=r"breached.* 2 old instance\(s\) left: it did not start"):
        rolling(endpoint, Alarms(look=2)).deploy()
    assert endpoint.shape()[-1] == (2, 0, 0.0)
