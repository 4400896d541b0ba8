"""DeploymentConfig: what is refused, and its update policy. Pure functions.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeploymentConfig.html
"""

from collections.abc import Iterable, Mapping
from typing import Any

from local_aws.compute.update_policy import ALL_AT_ONCE, LONGEST_SECONDS, CapacitySize, UpdatePolicy
from local_aws.sagemaker.resources import invalid

Config = Mapping[str, Any]

# Percentages of the variant's instances:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TrafficRoutingConfig.html
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_RollingUpdatePolicy.html
_LIMITS = {
    "CanarySize": (0, 50),
    "LinearStepSize": (10, 50),
    "MaximumBatchSize": (5, 50),
    "RollbackMaximumBatchSize": (0, 100),
}
_SIZE_OF_TYPE = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


def check(deployment: Config) -> None:
    """Refuse a contradictory configuration, for any endpoint.

    :param deployment: a request's DeploymentConfig, empty when there is none
    :raises ServiceError: it is contradictory
    """
    if "BlueGreenUpdatePolicy" in deployment and "RollingUpdatePolicy" in deployment:
        raise invalid(
            "Only one update policy should be used in the deployment configuration: BlueGreenUpdatePolicy or "
            "RollingUpdatePolicy."
        )
    routing = deployment.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    needed = _SIZE_OF_TYPE.get(routing.get("Type", ""))
    if needed and needed not in routing:
        raise invalid(f"{needed} must be specified for {routing['Type']} traffic routing.")
    for member in _SIZE_OF_TYPE.values():
        if member in routing and member != needed:
            raise invalid(f"{member} must not be specified for {routing['Type']} traffic routing.")
    for member, size in _sizes(deployment):
        if size.percent:
            _check_limits(member, size.value, f"{size.value}%")


def update_policy(deployment: Config, old: Iterable[str], new: Mapping[str, int]) -> UpdatePolicy:
    """Return the policy by which an endpoint is updated.

    :param deployment: the DeploymentConfig of the update, empty when there is none
    :param old: the live variants' names
    :param new: the new variants' instance counts by name
    :raises ServiceError: SageMaker does not deploy these variants in this way
    """
    names = alarms(deployment)
    if policy := deployment.get("RollingUpdatePolicy"):
        found = _rolling(policy, names)
    elif policy := deployment.get("BlueGreenUpdatePolicy"):
        found = _blue_green(policy, names)
    else:
        return UpdatePolicy(alarms=names)
    _check_variants(found, set(old), new)
    for member, size in _sizes(deployment):
        for variant, instances in new.items():
            if not size.percent:
                percentage = 100 * size.value / instances
                _check_limits(member, percentage, f"{size.value} of the {instances} instance(s) of variant {variant}")
    waiting = max(found.waiting_seconds(instances) for instances in new.values())
    if "MaximumExecutionTimeoutInSeconds" in policy and found.timeout_seconds <= waiting:
        raise invalid(
            f"MaximumExecutionTimeoutInSeconds {found.timeout_seconds} must be larger than the total waiting time of "
            f"{waiting} seconds that WaitIntervalInSeconds and TerminationWaitInSeconds specify."
        )
    return found


def alarms(deployment: Config) -> tuple[str, ...]:
    """Return the names of a DeploymentConfig's alarms."""
    return tuple(alarm["AlarmName"] for alarm in deployment.get("AutoRollbackConfiguration", {}).get("Alarms", []))


def has_guardrails(variants: Iterable[Config]) -> bool:
    """Tell whether guardrails apply to an endpoint; if not, it is updated all at once and without a bake.

    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html

    :param variants: the new configuration's ProductionVariants
    """
    return not any(variant.get("InstanceType", "").startswith("ml.inf1.") for variant in variants)


def _blue_green(policy: Config, names: tuple[str, ...]) -> UpdatePolicy:
    routing = policy["TrafficRoutingConfiguration"]
    member = _SIZE_OF_TYPE.get(routing["Type"])
    return UpdatePolicy(
        kind=routing["Type"].lower() if member else "all",
        size=_size(routing[member]) if member else ALL_AT_ONCE,
        wait_seconds=routing["WaitIntervalInSeconds"],
        termination_wait_seconds=policy.get("TerminationWaitInSeconds", 0),
        timeout_seconds=policy.get("MaximumExecutionTimeoutInSeconds", LONGEST_SECONDS),
        alarms=names,
    )


def _rolling(policy: Config, names: tuple[str, ...]) -> UpdatePolicy:
    back = policy.get("RollbackMaximumBatchSize")
    return UpdatePolicy(
        kind="rolling",
        size=_size(policy["MaximumBatchSize"]),
        wait_seconds=policy["WaitIntervalInSeconds"],
        timeout_seconds=policy.get("MaximumExecutionTimeoutInSeconds", LONGEST_SECONDS),
        rollback_size=_size(back) if back else ALL_AT_ONCE,
        alarms=names,
    )


def _check_variants(found: UpdatePolicy, old: set[str], new: Mapping[str, int]) -> None:
    """Check the variants by https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html."""
    if old != set(new):
        raise invalid(
            "The new endpoint configuration must have the same variant names as the old endpoint configuration when an "
            f"update policy is specified: it has {sorted(new)}, the old one has {sorted(old)}."
        )
    if found.kind == "rolling" and len(new) > 1:
        raise invalid("RollingUpdatePolicy is not supported for endpoints with multiple variants.")


def _check_limits(member: str, percentage: float, words: str) -> None:
    least, most = _LIMITS[member]
    if not least <= percentage <= most:
        bounds = f"between {least}% and {most}%" if least else f"less than or equal to {most}%"
        raise invalid(f"{member} is {words}; it must be {bounds} of the variant's total instance count.")


def _sizes(deployment: Config) -> list[tuple[str, CapacitySize]]:
    routing = deployment.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    places = {**routing, **deployment.get("RollingUpdatePolicy", {})}
    return [(member, _size(places[member])) for member in _LIMITS if member in places]


def _size(size: Config) -> CapacitySize:
    return CapacitySize(size["Value"], percent=size["Type"] == "CAPACITY_PERCENT")
