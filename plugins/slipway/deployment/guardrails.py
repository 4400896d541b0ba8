"""The deployment guardrails of a model file: check the live endpoint, and make the template's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.errors import StackFailed
from slipway.model.config import ModelConfig
from slipway.model.serving import Guardrails
from slipway.names import LIVE_VARIANT
from slipway.request.guardrails import EXCLUSIONS, wrong_sizes


def check_live(model: ModelConfig, endpoint: Mapping[str, Any] | None, stack_name: str) -> None:
    """Refuse an update of the live endpoint that SageMaker's guardrails exclude.

    There is no update if the release is deployed already or creates the endpoint.

    :param model: the model file
    :param endpoint: what DescribeEndpoint answered; None if there is no endpoint
    :param stack_name: for the message
    :raises StackFailed: with what is live, what is expected and AWS's page
    """
    if model.deployment is None or endpoint is None:
        return
    variants = endpoint.get("ProductionVariants", [])
    live = sorted(variant["VariantName"] for variant in variants)
    counts = [variant["DesiredInstanceCount"] for variant in variants if "DesiredInstanceCount" in variant]
    if live and live != [LIVE_VARIANT]:
        why = f"live are {' and '.join(live)}, new is only {LIVE_VARIANT}, and variants must not change: {EXCLUSIONS}"
    elif wrong := wrong_sizes(model.deployment, counts):
        why = "; ".join(wrong)
    else:
        return
    raise StackFailed(
        "SageMaker's deployment guardrails exclude this update",
        resource=stack_name,
        why=why,
        fix="end the trial, or change deployment in the model file; then clear this task",
    )


def parameters(deployment: Guardrails | None) -> dict[str, str]:
    """Return the parameters of a model file's guardrails.

    :param deployment: the model file's guardrails
    :returns: texts by parameter name; empty without guardrails
    """
    if deployment is None:
        return {}
    wanted = {
        "DeploymentStrategy": deployment.strategy.name,
        "DeploymentWaitSeconds": str(deployment.wait_seconds),
        "DeploymentTerminationWaitSeconds": str(deployment.termination_wait_seconds),
        "DeploymentMaximumSeconds": str(deployment.maximum_seconds),
    }
    if deployment.step_percent is not None:
        wanted |= {"DeploymentStepType": "CAPACITY_PERCENT", "DeploymentStepSize": str(deployment.step_percent)}
    if deployment.step_instances is not None:
        wanted |= {"DeploymentStepType": "INSTANCE_COUNT", "DeploymentStepSize": str(deployment.step_instances)}
    return wanted
