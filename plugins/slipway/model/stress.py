"""The section ``stress`` of a model file: whether its endpoints may be loaded, how much, and within what limits."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from slipway.load.errors import LoadRefused
from slipway.load.phases import LAB_STAGES, Arrivals, LoadStage, Phase
from slipway.load.plan import Caps, Plan
from slipway.load.rows import Row
from slipway.model.fields import Share
from slipway.validation import Strict, wrong

_DEFAULTS = Caps()
_CONCURRENCY = Arrivals(1, 1).concurrency
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
# CloudWatch has a minute's metrics after the minute, and target tracking scales in after many minutes.
WatchSeconds = Annotated[float, Field(ge=0, le=3600)]


class StressCaps(Strict):
    """How much load may be asked for."""

    max_requests: Count = _DEFAULTS.max_requests
    max_concurrency: Count = _DEFAULTS.max_concurrency
    max_rate_rps: Positive = _DEFAULTS.max_rate_rps
    max_seconds: Positive = _DEFAULTS.max_seconds


class StressSlo(Strict):
    """The limits of an endpoint in each phase of a load; without a limit for errors none is allowed."""

    max_error_share: Share | None = None
    p99_ms: Positive | None = None
    min_accuracy: Share | None = None


class StressStage(Strict):
    """A number of requests in flight, until a number of them has been sent."""

    concurrency: Count
    requests: Count


class Stress(Strict):
    """Whether a model's endpoints may be loaded, and with what."""

    allowed: bool = False
    before_production: bool = False
    slo: StressSlo = StressSlo()
    caps: StressCaps = StressCaps()
    stages: Annotated[list[StressStage], Field(min_length=1)] | None = None
    rate_rps: Positive | None = None
    duration_seconds: Positive | None = None
    watch_seconds: WatchSeconds = 60

    @model_validator(mode="after")
    def _one_load(self) -> Self:
        if (self.rate_rps is None) != (self.duration_seconds is None):
            raise wrong("rate_rps and duration_seconds together", "give both or neither")
        if self.stages and self.rate_rps is not None:
            raise wrong("either stages or rate_rps and duration_seconds", "remove one of them")
        return self

    @model_validator(mode="after")
    def _load_is_within_caps(self) -> Self:
        try:
            Plan("the endpoint", (Row("", ""),), self.phases(), caps=self.load_caps()).check()
        except LoadRefused as error:
            raise wrong("stages, or rate_rps and duration_seconds, within caps", str(error)) from None
        return self

    @model_validator(mode="after")
    def _gates_something(self) -> Self:
        if self.before_production and not self.allowed:
            raise wrong("allowed: true with before_production", "allow the load, or leave before_production out")
        if self.before_production and self.slo == StressSlo():
            raise wrong("at least one limit in slo with before_production", "say which limits the endpoint must keep")
        return self

    def load_caps(self) -> Caps:
        """Return the caps, as the load engine checks them."""
        return Caps(**self.caps.model_dump())

    def phases(self) -> tuple[Phase, ...]:
        """Return the load that is sent unless a form asks for another; the lab's if the file names none."""
        if self.rate_rps is not None and self.duration_seconds is not None:
            return (arrivals(self.rate_rps, self.duration_seconds, self.load_caps()),)
        if self.stages:
            return tuple(LoadStage(stage.concurrency, stage.requests) for stage in self.stages)
        return LAB_STAGES


def arrivals(rate_rps: float, duration_seconds: float, caps: Caps) -> Arrivals:
    """Build a load of a constant rate, with as many requests in flight as the caps allow.

    :param rate_rps: requests due each second
    :param duration_seconds: for how long
    :param caps: the model's caps
    """
    return Arrivals(rate_rps, duration_seconds, min(_CONCURRENCY, caps.max_concurrency))
