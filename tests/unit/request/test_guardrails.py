"""A zip that SageMaker's guardrails exclude is refused, with AWS's page, before anything is started."""

import pytest

from slipway.errors import PolicyViolation
from slipway.request.fence import fence, parse_zip
from slipway.request.guardrails import EXCLUSIONS, SIZES
from tests.unit.model.test_serving import ALARMS, CANARY, MORNING, with_sections
from tests.unit.request_samples import AWS, deployment, request_zip

SCALING = deployment()["ProductionEndpoint"]["AutoScaling"]


def guarded(**changes):
    return with_sections(alarms=ALARMS, deployment={**CANARY, **changes})


def refused(model, **production) -> str:
    document = deployment()
    document["ProductionEndpoint"] |= {"ABTests": False, **production}
    with pytest.raises(PolicyViolation) as error:
        fence(parse_zip(request_zip(deploy=document)), model, AWS)
    return str(error.value)


def accepted(model, **production) -> None:
    document = deployment()
    document["ProductionEndpoint"] |= {"ABTests": False, **production}
    fence(parse_zip(request_zip(deploy=document)), model, AWS)


def test_a_fleet_that_can_be_divided_is_accepted():
    accepted(guarded(), AutoScaling={**SCALING, "MinCapacity": 2})
    accepted(guarded(), AutoScaling=None, InitialInstanceCount=2)
    accepted(guarded(step_percent=None, step_instances=1), AutoScaling={**SCALING, "MinCapacity": 2})


def test_all_at_once_needs_no_more_than_one_instance():
    accepted(guarded(strategy="all_at_once", step_percent=None), AutoScaling=None, InitialInstanceCount=1)


def test_a_trial_and_guardrails_exclude_each_other():
    text = refused(guarded(), ABTests=True, InitialVariantWeight=0.1, AutoScaling={**SCALING, "MinCapacity": 2})
    assert "field ABTests: expected false with deployment.strategy canary" in text
    assert EXCLUSIONS in text


def test_instances_that_sagemaker_does_not_guard_are_refused():
    model = guarded()
    policy = model.policy.model_copy(update={"instance_types": [*model.policy.instance_types, "ml.inf1.xlarge"]})
    text = refused(model.model_copy(update={"policy": policy}), InstanceType="ml.inf1.xlarge")
    assert "another type than ml.inf1.xlarge" in text and EXCLUSIONS in text


@pytest.mark.parametrize(
    ("step", "production", "expected"),
    [
        ({}, {"AutoScaling": {**SCALING, "MinCapacity": 1}}, "at least 2 instances"),
        ({}, {"AutoScaling": None, "InitialInstanceCount": 1}, "at least 2 instances"),
        (
            {"step_percent": None, "step_instances": 2},
            {"AutoScaling": None, "InitialInstanceCount": 3},
            "from 1 to 50 percent of the fleet, found 2 of 3",
        ),
        (
            {"strategy": "linear", "step_percent": None, "step_instances": 4},
            {"AutoScaling": {**SCALING, "MinCapacity": 8, "MaxCapacity": 10}, "ABTests": False},
            None,
        ),
    ],
)
def test_a_fleet_too_small_for_a_step_is_refused(step, production, expected):
    if expected is None:
        accepted(guarded(**step), **production)
    else:
        text = refused(guarded(**step), **production)
        assert expected in text and SIZES in text


def test_a_schedule_that_shrinks_the_fleet_counts():
    model = with_sections(
        alarms=ALARMS, deployment=CANARY, scaling_schedule=[{**MORNING, "name": "night", "min_capacity": 1}]
    )
    assert "at least 2 instances" in refused(model, AutoScaling={**SCALING, "MinCapacity": 2})


def test_a_schedule_needs_scaling():
    assert "field AutoScaling: expected an object" in refused(
        with_sections(scaling_schedule=[MORNING]), AutoScaling=None
    )
