"""What a form asks for, and what model files allow."""

import pytest

from slipway.errors import PermanentError, StressRefused
from slipway.load.phases import LAB_STAGES, Arrivals, LoadStage
from slipway.model.config import ModelConfig
from slipway.states import Environment
from slipway.stress.dag import build_stress_dag
from slipway.stress.order import StressOrder, owner
from tests.unit.request_samples import iris_model

LIMITS = {"max_error_share": 0.001, "p99_ms": 1000, "min_accuracy": 0.9}


def model(**stress) -> ModelConfig:
    return ModelConfig.model_validate(iris_model().model_dump() | {"stress": stress})


def ordered(models=None, **form) -> StressOrder:
    return StressOrder.of_form(form, models or [iris_model()])


def test_an_empty_form_is_the_model_file():
    order = ordered(model="iris-model", stages="", endpoint="", data=None)
    assert order.endpoint_name == "iris-model-development"
    assert (order.phases, order.limits, order.target_variant) == (LAB_STAGES, LIMITS, None)
    assert order.data == iris_model().test.data


def test_the_forms_own_defaults_are_valid():
    form = build_stress_dag([iris_model()], "").params.dump()
    order = StressOrder.of_form(form, [iris_model()])
    assert (order.endpoint_name, order.watch_seconds) == ("iris-model-development", 60)


def test_what_the_form_says_comes_first():
    order = ordered(
        model="iris-model",
        environment="prd",
        stages="2:20, 3:30",
        data="s3://bucket/rows/",
        target_variant="model-b",
        min_accuracy=0,
        p99_ms=5,
    )
    assert order.endpoint_name == "iris-model-production"
    assert order.phases == (LoadStage(2, 20), LoadStage(3, 30))
    assert (order.data, order.target_variant) == ("s3://bucket/rows/", "model-b")
    assert order.limits == LIMITS | {"min_accuracy": 0, "p99_ms": 5}


@pytest.mark.parametrize(("form", "seconds"), [({}, 90), ({"watch_seconds": ""}, 90), ({"watch_seconds": 0}, 0)])
def test_cloudwatch_is_waited_for_as_long_as_the_model_file_says_unless_the_form_does(form, seconds):
    models = [model(allowed=True, watch_seconds=90)]
    assert StressOrder.of_model(models[0], Environment.DEVELOPMENT).watch_seconds == 90
    assert ordered(models, model="iris-model", **form).watch_seconds == seconds


def test_a_rate_has_the_concurrency_that_the_caps_leave_it():
    models = [model(allowed=True, caps={"max_concurrency": 20}, stages=[{"concurrency": 1, "requests": 1}])]
    assert ordered(models, model="iris-model", rate_rps=10, duration_seconds=3).phases == (Arrivals(10, 3, 20),)


def test_an_endpoint_may_be_named_instead():
    order = ordered(endpoint="iris-model-production")
    assert (order.model.prefix, order.environment) == ("iris-model", Environment.PRODUCTION)


@pytest.mark.parametrize("form", [{"model": "iris-model"}, {"endpoint": "iris-model-development"}])
def test_what_the_model_file_does_not_allow_is_refused(form):
    for stress in ({}, {"allowed": False}):
        with pytest.raises(StressRefused, match=r"iris-model-development.*does not allow it.*Fix: set stress"):
            ordered([model(**stress)], **form)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"endpoint": "somebody-elses"}, "no model file has an endpoint of this name"),
        ({"model": "wine-model"}, "no model file has this prefix"),
        ({}, "a model or an endpoint"),
        ({"model": "iris-model", "stages": "ten"}, "'ten' is not a stage"),
        ({"model": "iris-model", "stages": "1:1", "rate_rps": 1, "duration_seconds": 1}, "either stages or a rate"),
        ({"model": "iris-model", "rate_rps": 1}, "rate_rps and duration_seconds together"),
        ({"model": "iris-model", "max_error_share": 2}, "max_error_share"),
        ({"model": "iris-model", "watch_seconds": -1}, "watch_seconds: expected a number of at least 0"),
        ({"model": "iris-model", "p99": 2}, "did you mean p99_ms"),
    ],
)
def test_a_form_that_names_no_load_is_refused(form, said):
    with pytest.raises(StressRefused, match=said):
        ordered(**form)


def test_a_broken_model_file_is_named_to_who_asks_for_it():
    with pytest.raises(StressRefused, match=r"wine-model\.yaml is broken"):
        owner("wine-model-development", [], [PermanentError("wine-model.yaml is broken")])
