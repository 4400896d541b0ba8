"""The parts of a model file that are about serving: guardrails, alarms, schedules, champion and golden set."""

from __future__ import annotations

import math
import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from slipway.model.fields import S3Uri, Share, TopicArn
from slipway.validation import Strict, shown_name, wrong

# The number of parameters ScalingSchedule… in deployment/endpoint.yaml.
MAX_SCHEDULES = 4
# SageMaker puts its metrics each minute; CloudWatch takes multiples of a minute.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
_PERIODS_SECONDS = (60, 120, 180, 240, 300, 600, 900)
# A minute's metric is put after the minute, and alarms are evaluated once a minute; AWS names no delay.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
_DELAY_SECONDS = 60

Wait = Annotated[int, Field(ge=0, le=3600)]


class Strategy(StrEnum):
    """How an update moves the requests to the new model.

    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
    """

    ALL_AT_ONCE = "all_at_once"
    CANARY = "canary"
    LINEAR = "linear"
    ROLLING = "rolling"

    @property
    def bounds_percent(self) -> tuple[int, int]:
        """The smallest and the largest share of the fleet that a step may have.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TrafficRoutingConfig.html
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_RollingUpdatePolicy.html
        """
        return {Strategy.CANARY: (1, 50), Strategy.LINEAR: (10, 50), Strategy.ROLLING: (5, 50)}.get(self, (100, 100))


def _six_decimals(share: float) -> float:
    # Rounded to endpoint.yaml's six, a share could become 0 or 1, which is another alarm.
    if round(share, 6) != share:
        raise wrong("a share with at most six decimals", "round it")
    return share


AlarmShare = Annotated[Share, AfterValidator(_six_decimals)]


class Alarms(Strict):
    """Bounds on the production endpoint's metrics: each is an alarm for each variant.

    https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    """

    error_5xx_share: AlarmShare | None = None
    error_4xx_share: AlarmShare | None = None
    model_error_share: AlarmShare | None = None
    # CloudWatch counts whole microseconds.
    latency_p99_ms: Annotated[float, Field(ge=0.001, le=60_000)] | None = None
    period_seconds: int = 60
    periods: Annotated[int, Field(ge=1, le=60)] = 1
    topic: TopicArn | None = None

    @model_validator(mode="after")
    def _watches(self) -> Self:
        if self.period_seconds not in _PERIODS_SECONDS:
            raise wrong(f"a period_seconds of {', '.join(map(str, _PERIODS_SECONDS))}", "choose one of them")
        bounds = (self.error_5xx_share, self.error_4xx_share, self.model_error_share, self.latency_p99_ms)
        if all(bound is None for bound in bounds):
            raise wrong(
                "at least one of error_5xx_share, error_4xx_share, model_error_share, latency_p99_ms",
                "give a bound, or leave alarms out",
            )
        return self

    @property
    def seconds_to_fire(self) -> int:
        """How long it takes at most until a bad metric sets off an alarm.

        An alarm looks at whole periods, so the one in which the metric became bad may not count.
        """
        return self.period_seconds * (self.periods + 1) + _DELAY_SECONDS


class Guardrails(Strict):
    """How production is updated, and for how long the alarms are watched.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeploymentConfig.html
    """

    strategy: Annotated[Strategy, Field(strict=False)]
    step_percent: Annotated[int, Field(ge=1, le=50)] | None = None
    step_instances: Annotated[int, Field(ge=1, le=100)] | None = None
    wait_seconds: Wait
    termination_wait_seconds: Wait = 0
    maximum_seconds: Annotated[int, Field(ge=600, le=28_800)] = 1800

    @model_validator(mode="after")
    def _has_its_step(self) -> Self:
        steps = [step for step in (self.step_percent, self.step_instances) if step is not None]
        if self.strategy is Strategy.ALL_AT_ONCE:
            if steps:
                raise wrong("no step with all_at_once", "remove step_percent and step_instances")
        elif len(steps) != 1:
            raise wrong(f"either step_percent or step_instances with {self.strategy.value}", "give one of the two")
        lowest, highest = self.strategy.bounds_percent
        if self.step_percent is not None and not lowest <= self.step_percent <= highest:
            raise wrong(f"a step_percent from {lowest} to {highest} with {self.strategy.value}", "change it")
        if self.strategy is Strategy.ROLLING and self.termination_wait_seconds:
            raise wrong("no termination_wait_seconds with rolling", "remove it: each batch replaces its instances")
        return self

    @model_validator(mode="after")
    def _has_time(self) -> Self:
        waits = self.steps * self.wait_seconds + self.termination_wait_seconds
        if waits >= self.maximum_seconds:
            raise wrong(
                f"a maximum_seconds above the {waits} s that the waits take", "raise it, or wait less or in fewer steps"
            )
        return self

    @property
    def words(self) -> str:
        """How the update moves the requests, as a part of a sentence."""
        step = f"{self.step_percent} % of the instances" if self.step_percent else f"{self.step_instances} instances"
        watched = f"{self.wait_seconds} s without an alarm"
        return {
            Strategy.ALL_AT_ONCE: f"all at once, watched for {self.wait_seconds} s",
            Strategy.CANARY: f"{step} first as a canary, the others after {watched}",
            Strategy.LINEAR: f"{step} at a time, the next after {watched}",
            Strategy.ROLLING: f"replacing {step} at a time, the next after {watched}",
        }[self.strategy]

    @property
    def steps(self) -> int:
        """After how many steps the alarms are watched; two with step_instances, whose number depends on the fleet."""
        if self.strategy is Strategy.ALL_AT_ONCE:
            return 1
        if self.strategy is Strategy.CANARY or self.step_percent is None:
            return 2
        return math.ceil(100 / self.step_percent)


def check_alarms(alarms: Alarms | None, deployment: Guardrails | None, topic: str | None, stack_seconds: float) -> None:
    """Refuse alarms that tell nobody, and guardrails that cannot work.

    :param alarms: the model file's
    :param deployment: the model file's
    :param topic: who is told if the alarms name no topic of their own
    :param stack_seconds: how long a change of a stack may take
    :raises PydanticCustomError: saying what is expected and how to fix it
    """
    if deployment is None:
        if alarms and not (alarms.topic or topic):
            raise wrong(
                "alarms.topic, news.topic or approval.topic beside alarms that guard no deployment",
                "name an SNS topic, such as slipway-releases of bootstrap.yaml: otherwise the alarms tell nobody",
            )
        return
    if alarms is None:
        raise wrong("alarms beside deployment", "add alarms: without one nothing would roll an update back")
    if deployment.wait_seconds < alarms.seconds_to_fire:
        raise wrong(
            f"a deployment.wait_seconds of at least the {alarms.seconds_to_fire} s that an alarm may take",
            "wait longer, or have the alarms look at fewer or shorter periods",
        )
    if deployment.maximum_seconds >= stack_seconds:
        raise wrong(
            f"a timeouts.stack_seconds above deployment.maximum_seconds, {deployment.maximum_seconds}",
            "raise timeouts.stack_seconds",
        )


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise wrong("the name of a time zone", "write one of the IANA database, such as Europe/Berlin") from None
    return name


# The fields of cron: name, smallest and largest number, and words.
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cron-expressions.html
_CRON = (
    ("minutes", 0, 59, ""),
    ("hours", 0, 23, ""),
    ("days of the month", 1, 31, "L W LW"),
    ("months", 1, 12, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"),
    ("weekdays", 1, 7, "L SUN MON TUE WED THU FRI SAT"),
    ("years", 1970, 2199, ""),
)


def _times_exist(schedule: str) -> str:
    kind, _, value = schedule.rstrip(")").partition("(")
    if kind == "at":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise wrong("a date and a time that exist", "correct it; the month comes before the day") from None
    if kind == "cron":
        for text, (name, lowest, highest, words) in zip(value.split(), _CRON, strict=True):
            # Behind a slash or # is no time, but how often or which one.
            numbers = re.findall(r"\d+", re.sub(r"[/#]\d+", "", text))
            unknown = set(re.findall(r"[A-Z]+", text.upper())) - set(words.split())
            if unknown or not all(len(one) < 5 and lowest <= int(one) <= highest for one in numbers):
                raise wrong(f"{name} from {lowest} to {highest} in cron(…)", f"correct {shown_name(text)}")
    return schedule


class ScheduledAction(Strict):
    """A scheduled change of the bounds between which production is scaled.

    https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-scheduled-scaling.html
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    schedule: Annotated[
        str,
        Field(
            pattern=r"^(cron\([^\s|()]+( [^\s|()]+){5}\)"
            r"|rate\([1-9]\d* (minute|minutes|hour|hours|day|days)\)"
            r"|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\))$"
        ),
        AfterValidator(_times_exist),
    ]
    timezone: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/-]+$"), AfterValidator(_time_zone)] = "Etc/UTC"
    min_capacity: Annotated[int, Field(ge=1, le=100)]
    max_capacity: Annotated[int, Field(ge=1, le=100)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_capacity > self.max_capacity:
            raise wrong("a min_capacity that is not above max_capacity", "swap the two")
        return self


class Champion(Strict):
    """How much better than the live model a new one must be, or how much worse it may be, on the same held-out rows."""

    better_by_at_least: Annotated[float, Field(ge=0)] | None = None
    not_worse_than: Annotated[float, Field(ge=0)] | None = None
    latency_p99_not_worse_than_ms: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.better_by_at_least is None) == (self.not_worse_than is None):
            raise wrong(
                "either better_by_at_least or not_worse_than",
                "say how much better the model has to be, or how much worse it may be",
            )
        return self


class GoldenSet(Strict):
    """Rows that every release must predict correctly."""

    data: S3Uri
    tolerance: Annotated[float, Field(ge=0)] | None = None
