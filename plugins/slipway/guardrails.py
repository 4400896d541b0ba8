"""What SageMaker's deployment guardrails exclude, found out before anything is started, and their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from slipway.errors import PolicyViolation, StackFailed
from slipway.model.config import ModelConfig
from slipway.model.serving import MAX_SCHEDULES, Alarms, Guardrails, ScheduledAction, Strategy
from slipway.names import LIVE_VARIANT
from slipway.request_schema import EndpointSettings

EXCLUSIONS = "https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html"
SIZES = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeploymentConfig.html"
_EXCLUDED_INSTANCES = "ml.inf1."


def check_request(model: ModelConfig, production: EndpointSettings) -> None:
    """Refuse a zip whose production endpoint could not be updated, or not be scaled, as the model file wants.

    :param model: the model file
    :param production: the zip's production endpoint
    :raises PolicyViolation: naming the field, what is expected and AWS's page
    """
    found = [*_excluded(model.deployment, production), *_unscaled(model.scaling_schedule, production)]
    if model.deployment:
        found += _wrong_sizes(model.deployment, _fleet_sizes(model.scaling_schedule, production))
    if found:
        raise PolicyViolation(
            "The production endpoint cannot be deployed as the model file wants",
            resource="deployment.json, ProductionEndpoint",
            why="; ".join(found),
            fix="change the zip, or deployment and scaling_schedule in the model file",
        )


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
    elif wrong := _wrong_sizes(model.deployment, counts):
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


def _excluded(deployment: Guardrails | None, production: EndpointSettings) -> Iterator[str]:
    if deployment is None:
        return
    if production.ab_tests:
        yield (
            f"field ABTests: expected false with deployment.strategy {deployment.strategy.value}, found true; a trial "
            f"changes the variants, which SageMaker's guardrails exclude: {EXCLUSIONS}"
        )
    if production.instance_type.startswith(_EXCLUDED_INSTANCES):
        yield (
            f"field InstanceType: expected another type than {production.instance_type} with deployment.strategy: "
            f"SageMaker would update all at once and watch no alarm: {EXCLUSIONS}"
        )


def _unscaled(schedule: Sequence[ScheduledAction], production: EndpointSettings) -> Iterator[str]:
    if schedule and production.auto_scaling is None:
        yield "field AutoScaling: expected an object with scaling_schedule in the model file, found null"


def _fleet_sizes(schedule: Iterable[ScheduledAction], production: EndpointSettings) -> list[int]:
    """The smallest and the largest fleet that an update may meet."""
    scaling = production.auto_scaling
    if scaling is None:
        return [production.initial_instance_count]
    bounds = [(scaling.min_capacity, scaling.max_capacity)]
    bounds += [(action.min_capacity, action.max_capacity) for action in schedule]
    return [min(low for low, _ in bounds), max(high for _, high in bounds)]


def _wrong_sizes(deployment: Guardrails, fleets: Iterable[int]) -> list[str]:
    """What a step cannot be of fleets of these sizes: instances are whole, and a step is half of them at most."""
    if deployment.strategy is Strategy.ALL_AT_ONCE:
        return []
    lowest, highest = deployment.strategy.bounds_percent
    found = []
    for fleet in sorted(set(fleets)):
        step = deployment.step_instances
        if fleet < 2:
            expected = "at least 2 instances"
        elif step is not None and not fleet * lowest <= step * 100 <= fleet * highest:
            expected = f"a step_instances from {lowest} to {highest} percent of the fleet, found {step} of {fleet}"
        else:
            continue
        found.append(
            f"{deployment.strategy.value} moves part of a fleet, which may have {fleet} instance(s) here: "
            f"expected {expected}: {SIZES}"
        )
    return found
