"""A model file's guardrails against what is live, and in the template's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.errors import StackFailed
from slipway.model.config import ModelConfig
from slipway.model.serving import MAX_SCHEDULES, Alarms, Guardrails, ScheduledAction
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


def alarm_parameters(alarms: Alarms | None, topic: str | None) -> dict[str, str]:
    """Say a model file's alarms in the template's parameters.

    :param alarms: the model file's
    :param topic: who is told where the alarms name no topic of their own
    :returns: texts by parameter name; none without alarms
    """
    if alarms is None:
        return {}
    shares = {
        "AlarmError5xxShare": alarms.error_5xx_share,
        "AlarmError4xxShare": alarms.error_4xx_share,
        "AlarmModelErrorShare": alarms.model_error_share,
    }
    wanted = {name: f"{share:.6f}".rstrip("0").rstrip(".") for name, share in shares.items() if share is not None}
    if alarms.latency_p99_ms is not None:
        wanted["AlarmLatencyP99Microseconds"] = str(round(alarms.latency_p99_ms * 1000))
    if told := alarms.topic or topic:
        wanted["AlarmTopicArn"] = told
    return wanted | {"AlarmPeriodSeconds": str(alarms.period_seconds), "AlarmPeriods": str(alarms.periods)}


def schedule_parameters(actions: Sequence[ScheduledAction]) -> dict[str, str]:
    """Say a model file's scheduled actions in the template's parameters.

    :param actions: the model file's, at most as many as the template has places
    :returns: texts by parameter name
    """
    return {
        f"ScalingSchedule{number}": "|".join(
            (action.name, action.schedule, action.timezone, str(action.min_capacity), str(action.max_capacity))
        )
        for number, action in enumerate(actions[:MAX_SCHEDULES], start=1)
    }
