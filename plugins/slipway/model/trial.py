"""The section ``trial`` of a model file: how a new model is tried beside the live one in production."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from slipway.model.fields import S3Uri, Share
from slipway.states import Decider
from slipway.validation import Strict, wrong


class TrialRule(Strict):
    """By how much the new model may be worse than the live one."""

    error_share_margin: Share = 0.01
    latency_p99_ratio: Annotated[float, Field(gt=0)] | None = 1.5
    accuracy_margin: Share = 0.02
    minimum_invocations: Annotated[int, Field(ge=1)] = 30


class Trial(Strict):
    """When a trial is judged, by whom, and how requests move afterwards."""

    minutes: Annotated[float, Field(gt=0, le=20160)] = 60
    invocations: Annotated[int, Field(ge=1)] | None = None
    decide: Annotated[Decider, Field(strict=False)] = Decider.PERSON
    answer_days: Annotated[float, Field(gt=0, le=365)] = 7
    rule: TrialRule = TrialRule()
    ground_truth: S3Uri | None = None
    steps: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)] = [0.5, 1.0]
    bake_minutes: Annotated[float, Field(gt=0, le=1440)] = 10

    @model_validator(mode="after")
    def _steps_go_up_to_all(self) -> Self:
        if self.steps[-1] != 1 or any(later <= earlier for earlier, later in pairwise(self.steps)):
            raise wrong("shares that grow and end with 1.0", "write them like [0.5, 1.0]")
        return self
