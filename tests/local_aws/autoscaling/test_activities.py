"""What a scaling activity costs does not follow how many there were."""

import time

import pytest

from local_aws.autoscaling.activities import ScalingActivities
from local_aws.framework.api import RequestContext, ServiceError
from local_aws.framework.disk import DiskFull
from local_aws.framework.store import Store
from tests.local_aws.framework.test_store import SCOPE, Writes, work_of

WEEK = 7 * 24 * 3600
CONTEXT = RequestContext(SCOPE.account_id, SCOPE.region)
REASON = {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 2}


def target(endpoint, variant="a"):
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store.sqlite", Writes())
    yield made
    made.close()


@pytest.fixture
def clock(monkeypatch):
    """The time in activities, which each of them moves by a second."""

    class Clock:
        now = time.time()

        def time(self):
            self.now += 1
            return self.now

    made = Clock()
    monkeypatch.setattr("local_aws.autoscaling.activities.time", made)
    return made


def scale(activities, scaled, status="Successful", capacity=2):
    activity = activities.begin(SCOPE, scaled, "Setting", "alarm", 1, capacity)
    activities.end(SCOPE, activity, status, "done")
    return activity["ActivityId"]


def described(activities, **asked):
    describe = activities.operations()["DescribeScalingActivities"]
    found, token = [], {}
    while True:
        answer = describe(CONTEXT, {"ServiceNamespace": "sagemaker", **asked, **token})
        found.append([activity["ActivityId"] for activity in answer["ScalingActivities"]])
        if answer["NextToken"] is None:
            return found
        token = {"NextToken": answer["NextToken"]}


def costs(store, activities, one, reason):
    """SQLite's work for each use."""
    return {
        "last": work_of(store, lambda: activities.last_scaling(SCOPE, one)),
        "again": work_of(store, lambda: activities.not_scaled(SCOPE, one, "alarm", reason)),
        "scale": work_of(store, lambda: scale(activities, one)),
        "page": work_of(store, lambda: page(activities, ResourceId=one["ResourceId"], MaxResults=3)),
        "all": work_of(store, lambda: page(activities, MaxResults=3, IncludeNotScaledActivities=True)),
    }


def test_each_use_costs_the_same_whatever_there_was(store, clock):
    work, have = {}, 0
    for size in (20, 1000):
        activities = ScalingActivities(store)
        store.execute("BEGIN", ())
        while have < size:
            scale(activities, target(f"e{have % 4}"))
            activities.not_scaled(SCOPE, target(f"e{have % 4}"), "alarm", {**REASON, "Number": have})
            have += 1
        store.execute("COMMIT", ())
        work[size] = costs(store, activities, target("e1"), {**REASON, "Number": have - 3})
    assert work[20]["last"] == work[1000]["last"] == work[20]["again"] == work[1000]["again"] == 0
    for use, steps in work[1000].items():
        # A tree of pages is somewhat deeper.
        assert steps <= 1.3 * work[20][use] + 10, (use, work)


def page(activities, **asked):
    return activities.operations()["DescribeScalingActivities"](CONTEXT, {"ServiceNamespace": "sagemaker", **asked})


def test_pages_are_the_newest_first_and_of_the_target_alone(store, clock):
    activities = ScalingActivities(store)
    mine = [scale(activities, target("e")) for _ in range(5)]
    others = [scale(activities, target("e", "ab")), scale(activities, target("e2"))]
    activities.not_scaled(SCOPE, target("e"), "alarm", REASON)
    resource = {"ResourceId": target("e")["ResourceId"]}
    first, second, third = described(activities, MaxResults=2, **resource)
    assert first + second + third == mine[::-1]
    assert described(activities, ScalableDimension=target("e")["ScalableDimension"], **resource) == [mine[::-1]]
    assert described(activities, ScalableDimension="other", **resource) == [[]]
    assert described(activities) == [[*others[::-1], *mine[::-1]]]
    assert [len(one) for one in described(activities, MaxResults=4, IncludeNotScaledActivities=True)] == [4, 4]
    with pytest.raises(ServiceError, match="Invalid pagination token") as refused:
        page(activities, NextToken="no", **resource)
    assert refused.value.code == "InvalidNextTokenException"


def test_the_last_ones_are_known_after_a_start(store, clock):
    activities = ScalingActivities(store)
    last = scale(activities, target("e"))
    scale(activities, target("e"), "Failed")
    activities.done(SCOPE, target("e"), "Setting bounds", "schedule", "Successful", "done")
    activities.not_scaled(SCOPE, target("e"), "alarm", REASON)
    running = activities.begin(SCOPE, target("e2"), "Setting", "alarm", 1, 2)
    for one in (activities, ScalingActivities(store)):
        assert one.last_scaling(SCOPE, target("e"))["ActivityId"] == last
        assert one.last_scaling(SCOPE, target("e2")) is None
        assert [activity["ActivityId"] for _, activity in one.under_way()] == [running["ActivityId"]]
        before = described(one, IncludeNotScaledActivities=True)
        one.not_scaled(SCOPE, target("e"), "alarm", REASON)
        assert described(one, IncludeNotScaledActivities=True) == before
        one.not_scaled(SCOPE, target("e"), "alarm", {"Code": "other"})
        assert len(described(one, IncludeNotScaledActivities=True)[0]) == len(before[0]) + 1
        one.not_scaled(SCOPE, target("e"), "alarm", REASON)


def test_those_of_more_than_six_weeks_ago_go_as_others_come(store, clock):
    activities = ScalingActivities(store)
    for number in range(25):
        scale(activities, target(f"gone{number}"))
    clock.now += 6 * WEEK + 60
    for left in (15, 5, 0):
        newest = activities.begin(SCOPE, target("e"), "Setting", "alarm", 1, 2)
        assert sum("gone" in one["ResourceId"] for one in store.collection("scaling_activities").list(SCOPE)) == left
    assert activities.last_scaling(SCOPE, target("gone24")) is None
    assert described(activities)[0][0] == newest["ActivityId"]


def former(store, name, started, status="Successful"):
    """An activity as an earlier version kept it."""
    activity = {**target("e"), "ActivityId": name, "Cause": "alarm", "StartTime": started, "StatusCode": status}
    store.collection("scaling_activities").put(SCOPE, name, {**activity, "FromCapacity": 1, "ToCapacity": 2})


def test_activities_of_an_earlier_version_are_taken_over(store, monkeypatch):
    now = time.time()
    former(store, "old", now - 7 * WEEK)
    former(store, "done", now - WEEK)
    former(store, "running", now - 5, "InProgress")
    collection, e = store.collection("scaling_activities"), {"ResourceId": target("e")["ResourceId"]}
    with monkeypatch.context() as patch:
        patch.setattr(Store, "written", no_space)
        activities = ScalingActivities(store)
    assert [one["ActivityId"] for _, one in activities.under_way()] == ["running"]
    # It goes on with what is there, and drops only what is old.
    another = scale(activities, target("e2"))
    assert sorted(one["ActivityId"] for one in collection.list(SCOPE)) == sorted(["done", "running", another])
    # A page ends at one that has not been taken over.
    assert described(activities, MaxResults=1) == [[another], ["running"], ["done"]]
    activities = ScalingActivities(store)
    assert described(activities, **e) == [["running", "done"]]
    assert activities.last_scaling(SCOPE, target("e"))["ActivityId"] == "done"
    [(scope, running)] = activities.under_way()
    activities.end(scope, running, "Successful", "done")
    for one in (activities, ScalingActivities(store)):
        assert described(one, **e) == [["running", "done"]]
        assert (one.last_scaling(SCOPE, target("e"))["ActivityId"], one.under_way()) == ("running", [])
    assert [name.startswith("endpoint/e") for name, _ in collection.newest(SCOPE, 9)] == [True] * 3


def test_what_has_ended_before_it_was_taken_over_has_ended(store, monkeypatch):
    former(store, "running", time.time() - 5, "InProgress")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "written", no_space)
        activities = ScalingActivities(store)
    [(scope, running)] = activities.under_way()
    activities.end(scope, running, "Successful", "done")
    activities = ScalingActivities(store)
    assert activities.under_way() == []
    [kept] = store.collection("scaling_activities").list(SCOPE)
    assert kept["StatusCode"] == "Successful"


def no_space(store, work):
    raise DiskFull("full")
