"""Everything that changes production, one after another, under a constant load from outside; no request fails.

Takes some minutes, so its name keeps it from being collected: `make under-load` asks for it.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from scipy.stats import binom

from slipway.cleanup.teardown import NothingLeftOperator, TeardownOperator
from slipway.errors import StackFailed
from slipway.host import runs
from slipway.model.config import ModelConfig
from slipway.trial.wait import BakeTrigger
from tests.cfn.releases import PRD, Release, RollBack
from tests.cfn.trials import TrialModel, TrialRun
from tests.local_aws.bad_models import crashing_model_data, refusing_model_data
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.outside import Outside, Request
from tests.local_aws.sagemaker_cases import broken_model_data, model_data
from tests.local_aws.server import LocalAws, eventually
from tests.unit.signatures import teardown_context
from tests.unit.task_runs import first_event, run_task

pytestmark = pytest.mark.local_aws

# Requests a second, and how many more for scaling out. A minute of AWS's clock lasts a second here.
RATE_RPS, MORE_RPS = 60, 150
# 30 requests for each of two instances in a minute of AWS's clock do not scale out, 105 do.
SCALING = {
    "MinCapacity": 2,
    "MaxCapacity": 4,
    "TargetValue": 60.0,
    "ScaleInCooldown": 30,
    "ScaleOutCooldown": 60,
    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance",
}
# A trial and a bake pass by the real clock: time for more than 3000 requests.
WINDOW_MINUTES = 0.9
# The longest canary there is, an hour of AWS's.
CANARY = {"strategy": "canary", "step_percent": 50, "wait_seconds": 3600, "maximum_seconds": 10_800}
# The other ways to move, with 5 seconds for each step.
LINEAR = {"strategy": "linear", "step_percent": 50, "wait_seconds": 300}
ROLLING = {"strategy": "rolling", "step_instances": 1, "wait_seconds": 300}
ALARMS = {"error_5xx_share": 0.5, "model_error_share": 0.5}
# After each change, before the next one begins.
QUIET_SECONDS = 2.0


@dataclass
class Row:
    """One change of production.

    :param what: what happened
    :param shifts: of the models that may answer meanwhile
    :param spoilt_by_model: whether the new model fails requests itself
    """

    what: str
    shifts: set[int]
    spoilt_by_model: bool = False
    began: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True)
class Bad:
    """Artefacts of models that go wrong."""

    refusing: str
    crashing: str
    broken: str


@dataclass
class Window:
    """A time in which two models shared the requests.

    :param share: that the model with this shift of labels was to get
    """

    what: str
    share: float
    shift: int
    began: float
    ended: float


@dataclass
class Story:
    """Production under load, and what was done to it."""

    aws: LocalAws
    folder: Path
    model: TrialModel
    loads: list[Outside] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    left: list[str] | None = None

    @property
    def endpoint_name(self) -> str:
        return f"{self.model.prefix}-production"

    def release(self, model_data_url: str, **production: object) -> Release:
        settings = {"InstanceType": "ml.m4.xlarge", "InitialInstanceCount": 2, "AutoScaling": SCALING, "ABTests": False}
        return self.model.release(model_data_url, **settings | production).approve()

    def change_model_file(self, **sections: object) -> None:
        self.model.config = ModelConfig.model_validate(self.model.config.model_dump() | sections)

    def sending(self, rate_rps: float) -> Outside:
        self.loads.append(Outside(self.aws, self.endpoint_name, rate_rps, self.folder))
        return self.loads[-1]

    @contextmanager
    def row(self, what: str, *shifts: int, spoilt_by_model: bool = False) -> Iterator[None]:
        # Where the last one ended, so that each request belongs to a row.
        row = Row(what, set(shifts), spoilt_by_model, self.rows[-1].ended if self.rows else time.time())
        yield
        time.sleep(QUIET_SECONDS)
        row.ended = time.time()
        self.rows.append(row)
        print(f"{row.ended - row.began:6.1f} s  {what}", flush=True)  # noqa: T201

    def instances(self) -> int:
        found = self.aws.client("sagemaker").describe_endpoint(EndpointName=self.endpoint_name)
        return found["ProductionVariants"][0]["CurrentInstanceCount"]

    # The results.

    def requests(self, began: float, ended: float) -> list[Request]:
        return [one for load in self.loads for one in load.requests() if began <= one.sent < ended]

    def of_row(self, row: Row) -> list[Request]:
        found = self.requests(row.began, row.ended)
        if row is self.rows[0]:
            # Before it there is no endpoint to ask.
            first = min(one.sent for one in found if not one.error)
            found = [one for one in found if one.sent >= first]
        return found

    def errors_by_config(self, row: Row) -> Counter[str]:
        """The errors of the models themselves, as CloudWatch counts them for each endpoint configuration."""
        cloudwatch = self.aws.client("cloudwatch")
        dimensions = [{"Name": "EndpointName", "Value": self.endpoint_name}]
        metric = {"Namespace": "AWS/SageMaker", "MetricName": "InvocationModelErrors"}
        found: Counter[str] = Counter()
        for one in cloudwatch.list_metrics(**metric, Dimensions=dimensions)["Metrics"]:
            names = {dimension["Name"]: dimension["Value"] for dimension in one["Dimensions"]}
            if "EndpointConfigName" in names:
                points = cloudwatch.get_metric_statistics(
                    **metric,
                    Dimensions=one["Dimensions"],
                    StartTime=datetime.fromtimestamp(row.began, UTC) - timedelta(seconds=1),
                    EndTime=datetime.fromtimestamp(row.ended, UTC),
                    Period=1,
                    Statistics=["Sum"],
                )["Datapoints"]
                found[names["EndpointConfigName"]] += round(sum(point["Sum"] for point in points))
        return +found


@pytest.fixture(scope="module")
def aws(fast_aws) -> Iterator[LocalAws]:
    """The account in which a minute lasts a second, as the hooks' AWS; there is no Airflow to ask for other runs."""
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(fast_aws.endpoint_url, patch)
        patch.setattr(runs, "goes_on", lambda dag_id, run_id: False)
        yield fast_aws


@pytest.fixture(scope="module")
def story(aws, tmp_path_factory) -> Story:
    """The whole table."""
    good = [model_data(aws, label_shift=shift) for shift in range(3)]
    bad = Bad(refusing_model_data(aws), crashing_model_data(aws), broken_model_data(aws))
    model = TrialModel(aws, minutes=WINDOW_MINUTES, bake_minutes=WINDOW_MINUTES)
    story = Story(aws, tmp_path_factory.mktemp("requests"), model)
    with story.sending(RATE_RPS):
        with_a_trial(story, good)
        with_guardrails(story, good, bad)
        with_scaling_and_a_roll_back(story)
    tear_down(story)
    return story


def with_a_trial(story: Story, good: list[str]) -> None:
    with story.row("first release", 0):
        story.release(good[0], ABTests=True, InitialVariantWeight=0.1).deploy(PRD)
    with story.row("A/B release", 0, 1):
        run = TrialRun(story.release(good[1], ABTests=True, InitialVariantWeight=0.1))
        run.deploy()
    with story.row("its trial, weights 90 and 10", 0, 1):
        began = time.time()
        run.run("watch_trial")
        story.windows.append(Window("trial, 10/90", 0.1, 1, began, time.time()))
        run.run("decide_trial")

    def wait(trigger):
        began = time.time()
        event, share = first_event(trigger), run.share()
        if isinstance(trigger, BakeTrigger) and share == 0.5:
            story.windows.append(Window("promotion, 50/50", 0.5, 1, began, time.time()))
        return event

    with story.row("promotion, by 50 % and 100 %", 0, 1):
        assert run.run("settle_trial", wait)["outcome"] == "promoted"


def with_guardrails(story: Story, good: list[str], bad: Bad) -> None:
    timeouts = story.model.config.timeouts.model_dump() | {"stack_seconds": 20_000}
    story.change_model_file(trial=None, alarms=ALARMS, deployment=CANARY, timeouts=timeouts)
    with story.row("canary release, 50 %", 1, 2):
        story.release(good[2]).deploy(PRD)
    canary = story.requests(story.rows[-1].began, story.rows[-1].ended)
    first = min(one.sent for one in canary if one.shift == 2)
    # The bake begins just before the first request to the new model, and a look at its end may come late.
    story.windows.append(Window("canary, 50 %", 0.5, 2, first, first + CANARY["wait_seconds"] / 60 - 0.5))
    for what, artefact in (
        ("a model that refuses each request (400), rolled back", bad.refusing),
        ("a model that breaks at each request (5xx), rolled back", bad.crashing),
    ):
        with (
            story.row(what, 2, spoilt_by_model=True),
            pytest.raises(StackFailed, match=r"UPDATE_ROLLBACK_COMPLETE; Endpoint .*; the alarm slipway-"),
        ):
            story.release(artefact).deploy(PRD)
    with story.row("a model that does not start", 2), pytest.raises(StackFailed, match="UPDATE_ROLLBACK_COMPLETE"):
        story.release(bad.broken).deploy(PRD)
    story.change_model_file(deployment=LINEAR)
    with story.row("a release with another instance type, linear", 2, 0):
        story.release(good[0], InstanceType="ml.c5.xlarge").deploy(PRD)


def with_scaling_and_a_roll_back(story: Story) -> None:
    with ExitStack() as more:
        with story.row("scale-out from 2 to 4 instances", 0):
            more.enter_context(story.sending(MORE_RPS))
            eventually(story.instances, lambda count: count == 4)
        with story.row("scale-in from 4 to 2", 0):
            more.close()
            eventually(story.instances, lambda count: count == 2)
    story.change_model_file(deployment=ROLLING)
    with story.row("roll-back, rolling, to the instance type before, too", 0, 2):
        back = RollBack(story.model, "previous")
        back.choose()
        assert back.deploy()["change"] == "updated"


def tear_down(story: Story) -> None:
    include = story.folder / "include"
    (include / "models").mkdir(parents=True)
    text = yaml.safe_dump(story.model.config.model_dump(mode="json", exclude_none=True))
    (include / "models" / "model.yaml").write_text(text)
    with pytest.MonkeyPatch.context() as patch, story.row("the end of the load, teardown", 0, 2):
        patch.setenv("SLIPWAY_INCLUDE_FOLDER", str(include))
        form = teardown_context(story.model.prefix, remove_record=True)
        run_task(TeardownOperator(task_id="teardown"), form)
        story.left = run_task(NothingLeftOperator(task_id="nothing_left"), form)


def table(story: Story) -> str:
    lines = [
        "| what happened | seconds | sent | answered | failed | of these by the new model itself | right answers |",
        "|---|---|---|---|---|---|---|",
    ]
    totals: Counter[str] = Counter()
    for row in story.rows:
        found = story.of_row(row)
        counts = {
            "sent": len(found),
            "answered": sum(not one.error for one in found),
            "failed": sum(bool(one.error) for one in found),
            "own": story.errors_by_config(row).total(),
            "right": sum(one.shift in row.shifts for one in found),
        }
        totals.update(counts)
        lines.append(f"| {row.what} | {row.ended - row.began:.0f} | {' | '.join(map(str, counts.values()))} |")
    seconds = story.rows[-1].ended - story.rows[0].began
    lines.append(f"| all of it | {seconds:.0f} | {' | '.join(map(str, totals.values()))} |")
    return "\n".join(lines)


def test_no_request_fails_but_those_that_a_bad_model_answered(story, record_property):
    record_property("under load", f"\n{table(story)}")
    for row in story.rows:
        found = story.of_row(row)
        failed = Counter(one.error for one in found if one.error)
        own = story.errors_by_config(row)
        assert failed.total() == own.total(), (row.what, failed, own)
        # All of them by one configuration, which is the new one: the live one answers before and afterwards.
        assert len(own) == row.spoilt_by_model, (row.what, own)
        answered = [one for one in found if not one.error]
        assert all(one.shift in row.shifts for one in answered), row.what


def test_before_the_first_answer_there_was_no_endpoint_and_afterwards_always(story):
    every = story.requests(0, time.time())
    first = min(one.sent for one in every if not one.error)
    before = [one.error for one in every if one.sent < first]
    assert set(before) == {"400 ValidationError"}
    # Each request is in one of the rows.
    assert sum(len(story.of_row(row)) for row in story.rows) == len(every) - len(before)


def test_shares_are_the_weights(story, record_property):
    lines = ["| window | share | requests | to the new model | 99.9 % interval |", "|---|---|---|---|---|"]
    for window in story.windows:
        found = story.requests(window.began, window.ended)
        new = sum(one.shift == window.shift for one in found)
        low, high = map(int, binom.interval(0.999, len(found), window.share))
        lines.append(f"| {window.what} | {window.share:.0%} | {len(found)} | {new} | {low} to {high} |")
    record_property("shares", "\n" + "\n".join(lines))
    for window in story.windows:
        found = story.requests(window.began, window.ended)
        low, high = binom.interval(0.999, len(found), window.share)
        assert len(found) >= 3000
        assert low <= sum(one.shift == window.shift for one in found) <= high, window


def test_nothing_is_left(story):
    assert story.left == []
