"""Guardrails against what is live, and as parameters of the template."""

import pytest

from slipway.deployment import guardrails
from slipway.errors import StackFailed
from tests.unit.model.test_serving import ALARMS, CANARY, with_sections


def guarded(**changes):
    return with_sections(alarms=ALARMS, deployment={**CANARY, **changes})


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
