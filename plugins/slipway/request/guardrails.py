"""What SageMaker's deployment guardrails cannot update, checked before anything is started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from slipway.errors import PolicyViolation
from slipway.model.config import ModelConfig
from slipway.model.serving import Guardrails, ScheduledAction, Strategy
from slipway.request.schema import EndpointSettings

EXCLUSIONS = "https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html"
SIZES = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeploymentConfig.html"
_EXCLUDED_INSTANCES = "ml.inf1."


def refusals(model: ModelConfig, production: EndpointSettings) -> list[PolicyViolation]:
    """Return why a zip's production endpoint could not be updated or scaled as the model file says.

    :param model: the model file
    :param production: the zip's production endpoint
    :returns: with the field, what is expected and AWS's page; none for a good zip
    """
    found = [*_excluded(model.deployment, production), *_unscaled(model.scaling_schedule, production)]
    if model.deployment:
        found += wrong_sizes(model.deployment, _fleet_sizes(model.scaling_schedule, production))
    if not found:
        return []
    return [
        PolicyViolation(
            "The production endpoint cannot be deployed as the model file says",
            resource="deployment.json in trainingjob.zip: ProductionEndpoint; model file of "
            f"{model.prefix}: deployment, scaling_schedule",
            why="\n".join(f"deployment.json, ProductionEndpoint: {problem}" for problem in found),
            fix="change the zip, or deployment and scaling_schedule in the model file",
        )
    ]


def _excluded(deployment: Guardrails | None, production: EndpointSettings) -> Iterator[str]:
    if deployment is None:
        return
    if production.ab_tests:
        yield (
            f"field ABTests: expected false with deployment.strategy {deployment.strategy.value}, found true: a trial "
            f"changes the variants, which SageMaker's guardrails do not support: {EXCLUSIONS}"
        )
    if production.instance_type.startswith(_EXCLUDED_INSTANCES):
        yield (
            f"field InstanceType: expected another type than {production.instance_type} with deployment.strategy: "
            f"SageMaker would update all instances at once and watch no alarm: {EXCLUSIONS}"
        )


def _unscaled(schedule: Sequence[ScheduledAction], production: EndpointSettings) -> Iterator[str]:
    if schedule and production.auto_scaling is None:
        yield "field AutoScaling: expected an object, because the model file has scaling_schedule, found null"


def _fleet_sizes(schedule: Iterable[ScheduledAction], production: EndpointSettings) -> list[int]:
    """Return the smallest and the largest fleet that an update may find."""
    scaling = production.auto_scaling
    if scaling is None:
        return [production.initial_instance_count]
    bounds = [(scaling.min_capacity, scaling.max_capacity)]
    bounds += [(action.min_capacity, action.max_capacity) for action in schedule]
    return [min(low for low, _ in bounds), max(high for _, high in bounds)]


def wrong_sizes(deployment: Guardrails, fleets: Iterable[int]) -> list[str]:
    """Return why a step does not fit fleets of these sizes: it is at least one instance, and at most half of them."""
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
            f"{deployment.strategy.value} moves a part of the fleet, which may have {fleet} instance(s): "
            f"expected {expected}: {SIZES}"
        )
    return found
