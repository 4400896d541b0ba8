"""Production scales from one instance to ten and back, by the lab's own settings, with a release on the way.

Takes some minutes, so its name keeps it from being collected: `make under-load` asks for it.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cfn.releases import PRD, Model
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.outside import Outside
from tests.local_aws.sagemaker_cases import model_data
from tests.local_aws.server import LocalAws, eventually, set_up_account
from tests.unit.request_samples import deployment

pytestmark = pytest.mark.local_aws

# Minutes of AWS's clock in one real minute: ten instances at the lab's 200 requests a minute each are 200 a second.
SCALE = 6
LAB: dict[str, Any] = deployment()["ProductionEndpoint"]["AutoScaling"] | {"MinCapacity": 1}
# Requests in a minute of AWS's, in multiples of what one instance is to get: as many instances, rounded up, are enough.
LITTLE, SOME, MORE, MOST = 0.5, 2.5, 5.5, 9.5
WAIT_SECONDS = 300


@dataclass
class Story:
    """What was asked of an endpoint that scales, and what it did."""

    aws: LocalAws
    folder: Path
    endpoint_name: str
    loads: list[Outside] = field(default_factory=list)
    # Instances before and after the release.
    around_release: tuple[int, int] = (0, 0)
    release_began: float = 0.0
    release_ended: float = 0.0
    # The times at which the load changed, and the new loads.
    steps: list[tuple[float, float]] = field(default_factory=list)

    def sending(self, more: float, total: float) -> Outside:
        """Add load; gives what sends it.

        :param more: multiples of one instance's load
        :param total: of all that is sent then
        """
        self.steps.append((time.time(), total))
        rate_rps = more * LAB["TargetValue"] * SCALE / 60
        self.loads.append(Outside(self.aws, self.endpoint_name, rate_rps, self.folder))
        return self.loads[-1]

    def instances(self) -> int:
        found = self.aws.client("sagemaker").describe_endpoint(EndpointName=self.endpoint_name)
        return found["ProductionVariants"][0]["CurrentInstanceCount"]

    def scaled(self, load: float) -> None:
        """Wait until there are as many instances as a load needs, and no activity is under way."""
        eventually(self.instances, lambda count: count == math.ceil(load), WAIT_SECONDS)
        eventually(self.activities, lambda found: found[-1]["StatusCode"] != "InProgress")

    def activities(self) -> list[dict[str, Any]]:
        """DescribeScalingActivities, the oldest first."""
        found = self.aws.client("application-autoscaling").describe_scaling_activities(
            ServiceNamespace="sagemaker", ResourceId=f"endpoint/{self.endpoint_name}/variant/model-a"
        )
        return found["ScalingActivities"][::-1]


@pytest.fixture(scope="module")
def aws(tmp_path_factory) -> Iterator[LocalAws]:
    """A local AWS with a clock of its own, as the hooks' AWS."""
    running = LocalAws(tmp_path_factory.mktemp("scaling") / "state", "--time-scale", str(SCALE)).start()
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(running.endpoint_url, patch)
        set_up_account(running)
        yield running
    running.stop()


@pytest.fixture(scope="module")
def story(aws, tmp_path_factory) -> Story:
    """From one instance to ten and back."""
    first, second = (model_data(aws, label_shift=shift) for shift in (0, 1))
    model = Model(aws)
    settings = {"ABTests": False, "InitialInstanceCount": 1, "AutoScaling": LAB}
    release = model.release(first, **settings).approve()
    release.deploy(PRD)
    story = Story(aws, tmp_path_factory.mktemp("requests"), release.plan.endpoint(PRD))
    with story.sending(LITTLE, LITTLE):
        with ExitStack() as more:
            more.enter_context(story.sending(SOME - LITTLE, SOME))
            story.scaled(SOME)
            more.enter_context(story.sending(MORE - SOME, MORE))
            story.scaled(MORE)
            before, story.release_began = story.instances(), time.time()
            model.release(second, **settings).approve().deploy(PRD)
            story.around_release, story.release_ended = (before, story.instances()), time.time()
            more.enter_context(story.sending(MOST - MORE, MOST))
            story.scaled(MOST)
        story.steps.append((time.time(), LITTLE))
        story.scaled(LITTLE)
    return story


def capacity(activity: dict[str, Any]) -> int:
    return int(activity["Description"].removeprefix("Setting desired instance count to ").removesuffix("."))


def alarm(activity: dict[str, Any]) -> str:
    return next(kind for kind in ("AlarmHigh", "AlarmLow") if kind in activity["Cause"])


def table(story: Story) -> str:
    """What happened by AWS's clock, in minutes since the first load."""
    began = story.steps[0][0]
    lines = [
        (when, f"load becomes {load * LAB['TargetValue']:.0f} requests a minute", "", "") for when, load in story.steps
    ]
    lines += [
        (one["StartTime"].timestamp(), one["Description"], alarm(one), one["StatusCode"]) for one in story.activities()
    ]
    around = story.around_release
    lines.append((story.release_began, f"a release begins; live are {around[0]} instances", "", ""))
    lines.append((story.release_ended, f"the release is done; live are {around[1]} instances", "", ""))
    rows = [f"| {(when - began) / 60 * SCALE:.1f} | {' | '.join(rest)} |" for when, *rest in sorted(lines)]
    return "\n".join(["| minute | what happened | alarm | status |", "|---|---|---|---|", *rows])


def test_from_one_to_ten_and_back(story, record_property):
    record_property("scaling", f"\n{table(story)}")
    activities = story.activities()
    assert {one["StatusCode"] for one in activities} == {"Successful"}
    capacities = [1, *map(capacity, activities)]
    top = capacities.index(LAB["MaxCapacity"])
    assert capacities[: top + 1] == sorted(set(capacities[: top + 1])), capacities
    assert capacities[top:] == sorted(set(capacities[top:]), reverse=True), capacities
    assert set(capacities) >= {math.ceil(load) for load in (LITTLE, SOME, MORE, MOST)}
    assert [alarm(one) for one in activities] == ["AlarmHigh"] * top + ["AlarmLow"] * (len(activities) - top)


def test_cooldowns_are_kept(story):
    activities = story.activities()
    for former, later in pairwise(activities):
        outwards = capacity(later) > capacity(former)
        cooldown = LAB["ScaleOutCooldown" if outwards else "ScaleInCooldown"]
        assert (later["StartTime"] - former["EndTime"]).total_seconds() * SCALE >= cooldown, (former, later)


def test_a_release_keeps_the_instances_that_scaling_has_reached(story):
    enough = math.ceil(MORE)
    assert story.around_release == (enough, enough)
    during = [one for one in story.activities() if story.release_began < one["StartTime"].timestamp()]
    assert all(one["StartTime"].timestamp() > story.release_ended for one in during)


def test_no_request_failed(story, record_property):
    every = [one for load in story.loads for one in load.requests()]
    record_property("requests while production scaled", len(every))
    assert Counter(one.error for one in every) == {"": len(every)}
    assert {one.shift for one in every} == {0, 1}
