"""What SageMaker's guardrails exclude is refused before anything is started, and said with AWS's page."""

import pytest

from slipway.deployment import guardrails
from slipway.errors import PolicyViolation, StackFailed
from slipway.request.guardrails import EXCLUSIONS, SIZES
from slipway.request.request import fence, parse_zip
from tests.unit.model.test_serving import ALARMS, CANARY, MORNING, with_sections
from tests.unit.request_samples import AWS, deployment, request_zip

SCALING = deployment()["ProductionEndpoint"]["AutoScaling"]
TOPIC = "arn:aws:sns:us-west-2:123456789012:ops"


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


def endpoint(**counts):
    return {
        "ProductionVariants": [
            {"VariantName": name.replace("_", "-"), "DesiredInstanceCount": count} for name, count in counts.items()
        ]
    }


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (endpoint(model_a=2, model_b=2), "live are model-a and model-b"),
        (endpoint(model_b=2), "live are model-b"),
        (endpoint(model_a=1), "at least 2 instances"),
    ],
)
def test_a_live_endpoint_that_cannot_be_shifted_is_left_alone(live, expected):
    with pytest.raises(StackFailed, match=f"exclude this update.*{expected}.*https://docs.aws.amazon.com/sagemaker/"):
        guardrails.check_live(guarded(), live, "mlops-deploy-iris-model-prd")


def test_without_an_update_or_guardrails_nothing_is_excluded():
    guardrails.check_live(guarded(), None, "stack")
    guardrails.check_live(guarded(), endpoint(model_a=2), "stack")
    guardrails.check_live(with_sections(), endpoint(model_a=1, model_b=1), "stack")


def test_guardrails_become_parameters():
    model = guarded(termination_wait_seconds=60)
    assert guardrails.parameters(model.deployment) == {
        "DeploymentStrategy": "CANARY",
        "DeploymentStepType": "CAPACITY_PERCENT",
        "DeploymentStepSize": "10",
        "DeploymentWaitSeconds": "300",
        "DeploymentTerminationWaitSeconds": "60",
        "DeploymentMaximumSeconds": "1800",
    }
    by_count = guardrails.parameters(guarded(step_percent=None, step_instances=1).deployment)
    assert (by_count["DeploymentStepType"], by_count["DeploymentStepSize"]) == ("INSTANCE_COUNT", "1")
    at_once = guardrails.parameters(guarded(strategy="all_at_once", step_percent=None).deployment)
    assert at_once["DeploymentStrategy"] == "ALL_AT_ONCE" and "DeploymentStepSize" not in at_once
    assert guardrails.parameters(None) == {}


def test_alarms_become_parameters():
    model = with_sections(alarms={"error_4xx_share": 0.05, "error_5xx_share": 0, "latency_p99_ms": 1.5, "periods": 3})
    assert guardrails.alarm_parameters(model.alarms, TOPIC) == {
        "AlarmError5xxShare": "0",
        "AlarmError4xxShare": "0.05",
        "AlarmLatencyP99Microseconds": "1500",
        "AlarmTopicArn": TOPIC,
        "AlarmPeriodSeconds": "60",
        "AlarmPeriods": "3",
    }
    own = with_sections(alarms={"model_error_share": 1, "topic": f"{TOPIC}-own"}).alarms
    given = guardrails.alarm_parameters(own, TOPIC)
    assert (given["AlarmModelErrorShare"], given["AlarmTopicArn"]) == ("1", f"{TOPIC}-own")
    assert "AlarmTopicArn" not in guardrails.alarm_parameters(model.alarms, None)
    assert guardrails.alarm_parameters(None, TOPIC) == {}


def test_schedules_become_parameters():
    night = {"name": "night", "schedule": "rate(1 day)", "timezone": "Europe/Berlin"}
    model = with_sections(scaling_schedule=[MORNING, {**night, "min_capacity": 1, "max_capacity": 2}])
    assert guardrails.schedule_parameters(model.scaling_schedule) == {
        "ScalingSchedule1": "morning|cron(0 7 ? * MON-FRI *)|Etc/UTC|2|10",
        "ScalingSchedule2": "night|rate(1 day)|Europe/Berlin|1|2",
    }
