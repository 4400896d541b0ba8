"""A model file's guardrails against what is live, and in the template's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.errors import StackFailed
from slipway.model.config import ModelConfig
from slipway.model.serving import Guardrails
from slipway.names import LIVE_VARIANT
from slipway.request.guardrails import EXCLUSIONS, wrong_sizes


def check_live(model: ModelConfig, endpoint: Mapping[str, Any] | None, stack_name: str) -> None:
    """Refuse an update of production that SageMaker's guardrails exclude, given what is live.

    A release that is deployed already, or that creates the endpoint, has nothing to update.

    :param model: the model file
    :param endpoint: what DescribeEndpoint answered; None for an endpoint that is not there
    :param stack_name: for the message
    :raises StackFailed: naming what is live, what is expected and AWS's page
    """
    if model.deployment is None or endpoint is None:
        return
    variants = endpoint.get("ProductionVariants", [])
    live = sorted(variant["VariantName"] for variant in variants)
    counts = [variant["DesiredInstanceCount"] for variant in variants if "DesiredInstanceCount" in variant]
    if live and live != [LIVE_VARIANT]:
        why = f"live are {' and '.join(live)}, new is {LIVE_VARIANT} alone, and variants may not change: {EXCLUSIONS}"
    elif wrong := wrong_sizes(model.deployment, counts):
        why = "; ".join(wrong)
    else:
        return
    raise StackFailed(
        "SageMaker's deployment guardrails exclude this update",
        resource=stack_name,
        why=why,
        fix="end the trial that is live, or have deployment in the model file changed; then clear this task",
    )


def parameters(deployment: Guardrails | None) -> dict[str, str]:
    """Say a model file's guardrails in the template's parameters.

    :param deployment: the model file's
    :returns: texts by parameter name; none without guardrails
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
