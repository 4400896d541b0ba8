"""What a stress test sends: to which endpoint, with what load and limits, as its model file allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import ValidationError, field_validator, model_validator

from slipway import names
from slipway.errors import SlipwayError, StressRefused
from slipway.load.errors import LoadRefused
from slipway.load.phases import Phase, parse_stages
from slipway.load.plan import Caps
from slipway.model.config import ModelConfig
from slipway.model.fields import S3Uri, Share
from slipway.model.stress import Positive, Stress, WatchSeconds, arrivals
from slipway.states import Environment
from slipway.validation import Strict, describe, wrong

_LIMITS = ("max_error_share", "p99_ms", "min_accuracy")


class StressForm(Strict):
    """The form of the DAG ``stress_test``; an empty field means the model file's value."""

    model: str | None = None
    environment: Literal["dev", "prd"] = "dev"
    endpoint: str | None = None
    stages: str | None = None
    rate_rps: Positive | None = None
    duration_seconds: Positive | None = None
    data: S3Uri | None = None
    target_variant: str | None = None
    max_error_share: Share | None = None
    p99_ms: Positive | None = None
    min_accuracy: Share | None = None
    watch_seconds: WatchSeconds | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any) -> Any:
        """Read an empty text, which forms send for empty fields, as None."""
        return None if value == "" else value

    @model_validator(mode="after")
    def _one_load(self) -> Self:
        if (self.rate_rps is None) != (self.duration_seconds is None):
            raise wrong("rate_rps and duration_seconds together", "fill in both or neither")
        if self.stages and self.rate_rps is not None:
            raise wrong("either stages or a rate", "empty one of them")
        if not (self.model or self.endpoint):
            raise wrong("a model or an endpoint", "choose a model, or name an endpoint")
        return self


@dataclass(frozen=True)
class StressOrder:
    """A load and the endpoint to send it to.

    :param model: the model whose file allows it; its placeholders may be unresolved
    :param environment: the endpoint's
    :param phases: the load
    :param data: labelled rows, ``s3://BUCKET/PREFIX``; may have placeholders
    :param limits: fields of `slipway.load.slo.Slo`
    :param target_variant: the variant to send to; None leaves it to the weights
    :param watch_seconds: how long to wait after the load for CloudWatch's last minutes and for scaling
    """

    model: ModelConfig
    environment: Environment
    phases: Sequence[Phase]
    data: str
    limits: Mapping[str, float | None]
    target_variant: str | None = None
    watch_seconds: float = 0

    @property
    def endpoint_name(self) -> str:
        """The endpoint."""
        return names.endpoint_name(self.model.policy.endpoint.endpoint_prefix, self.environment)

    @property
    def caps(self) -> Caps:
        """The most that the model file allows."""
        return self.model.stress.load_caps()

    @classmethod
    def of_model(cls, model: ModelConfig, environment: Environment) -> Self:
        """Read the load that a model file describes.

        :param model: the model file
        :param environment: whose endpoint is loaded
        :raises StressRefused: when the model file does not allow it
        """
        stress = allowed(model, names.endpoint_name(model.policy.endpoint.endpoint_prefix, environment))
        return cls(
            model,
            environment,
            stress.phases(),
            model.test.data,
            stress.slo.model_dump(),
            watch_seconds=stress.watch_seconds,
        )

    @classmethod
    def of_form(
        cls, form: Mapping[str, Any], models: Iterable[ModelConfig], errors: Iterable[SlipwayError] = ()
    ) -> Self:
        """Read the load that a run's form asks for.

        :param form: the run's parameters
        :param models: all model files
        :param errors: one for each model file that cannot be read
        :raises StressRefused: when the form is wrong, or no model file allows the load
        """
        try:
            asked = StressForm.model_validate(dict(form))
            stages = parse_stages(asked.stages) if asked.stages else None
        except ValidationError as error:
            raise StressRefused(
                "No load was sent",
                resource="the form",
                why=describe(error, StressForm),
                fix="correct these fields and trigger a new run",
            ) from error
        except LoadRefused as error:
            raise StressRefused("No load was sent", resource="the form", why=error.problem, fix=error.fix) from error
        model, environment = _asked_for(asked, models, errors)
        file = cls.of_model(model, environment)
        rate = (
            (arrivals(asked.rate_rps, asked.duration_seconds, file.caps),)
            if asked.rate_rps is not None and asked.duration_seconds is not None
            else None
        )
        given = asked.model_dump()
        return cls(
            model,
            environment,
            stages or rate or file.phases,
            asked.data or file.data,
            {name: file.limits[name] if given[name] is None else given[name] for name in _LIMITS},
            asked.target_variant,
            file.watch_seconds if asked.watch_seconds is None else asked.watch_seconds,
        )


def allowed(model: ModelConfig, endpoint_name: str) -> Stress:
    """Return the stress settings of a model file that allows load.

    :param model: the endpoint's
    :param endpoint_name: the endpoint
    :raises StressRefused: when the file does not allow any load
    """
    if not model.stress.allowed:
        raise StressRefused(
            "No load was sent",
            resource=endpoint_name,
            why=f"the model file of {model.prefix} does not allow it",
            fix="set stress: {allowed: true} there",
        )
    return model.stress


def owner(
    endpoint_name: str, models: Iterable[ModelConfig], errors: Iterable[SlipwayError] = ()
) -> tuple[ModelConfig, Environment]:
    """Find the model and the environment that an endpoint belongs to.

    :param endpoint_name: the endpoint
    :param models: all model files
    :param errors: one for each model file that cannot be read
    :raises StressRefused: when it belongs to none
    """
    for model in models:
        for environment in Environment:
            if endpoint_name == names.endpoint_name(model.policy.endpoint.endpoint_prefix, environment):
                return model, environment
    raise StressRefused(
        "No load was sent",
        resource=endpoint_name,
        why="; ".join(["no model file has an endpoint of this name", *map(str, errors)]),
        fix="name the endpoint of a model, such as iris-model-development",
    )


def _asked_for(
    asked: StressForm, models: Iterable[ModelConfig], errors: Iterable[SlipwayError]
) -> tuple[ModelConfig, Environment]:
    if asked.endpoint:
        return owner(asked.endpoint, models, errors)
    environment = next(each for each in Environment if each.short == asked.environment)
    for model in models:
        if model.prefix == asked.model:
            return model, environment
    raise StressRefused(
        "No load was sent",
        resource=asked.model,
        why="; ".join(["no model file has this prefix", *map(str, errors)]),
        fix="choose a model that has a model file",
    )
