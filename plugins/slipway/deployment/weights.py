"""The weights of an endpoint's variants: read the share of requests of each, and compute changes.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpointWeightsAndCapacities.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from slipway.names import LIVE_VARIANT, TRIAL_VARIANT

# SageMaker keeps weights in single precision: it returns 0.1 as 0.10000000149.
_TOLERANCE = 1e-4


def trial_share(endpoint: Mapping[str, Any]) -> float | None:
    """Read the share of requests that the model on trial gets from the endpoint.

    :param endpoint: what DescribeEndpoint answered
    :returns: 0 to 1; None if no model is on trial
    """
    weights = {one["VariantName"]: one["CurrentWeight"] for one in endpoint.get("ProductionVariants", ())}
    if TRIAL_VARIANT not in weights or LIVE_VARIANT not in weights:
        return None
    return weights[TRIAL_VARIANT] / sum(weights.values())


def stated_share(parameters: Mapping[str, str]) -> float | None:
    """Read the share of requests that a stack's parameters give to the model on trial.

    :param parameters: the parameters of an endpoint stack
    :returns: 0 to 1; None if no model is on trial
    """
    if not parameters.get("ModelBDataUrl"):
        return None
    live, trial = float(parameters["ModelAWeight"]), float(parameters["ModelBWeight"])
    return trial / (live + trial)


def same(share: float, other: float) -> bool:
    """Return whether two shares are equal within the precision of SageMaker."""
    return math.isclose(share, other, rel_tol=0, abs_tol=_TOLERANCE)


def next_step(share: float, steps: Iterable[float]) -> float | None:
    """Return the first step above a share, or None if there is none."""
    return next((step for step in steps if step > share and not same(step, share)), None)


def changes(endpoint: Mapping[str, Any], share: float, *, level: bool) -> list[dict[str, Any]]:
    """Compute the changes that give the model on trial a share of the requests.

    With auto scaling, each variant has only the instances that its own share needed. So before requests move, both
    variants get as many instances as the larger one has; auto scaling removes those that are too many.

    :param endpoint: what DescribeEndpoint answered
    :param share: the share that the model on trial gets
    :param level: whether to give both variants the same number of instances
    :returns: DesiredWeightsAndCapacities; empty if nothing changes or no model is on trial
    """
    now = trial_share(endpoint)
    if now is None:
        return []
    variants = {one["VariantName"]: one for one in endpoint["ProductionVariants"]}
    wanted: dict[str, dict[str, Any]] = {name: {} for name in (LIVE_VARIANT, TRIAL_VARIANT)}
    if not same(now, share):
        # Decimal, so that 1 - 0.1 is 0.9.
        wanted[LIVE_VARIANT]["DesiredWeight"] = float(1 - Decimal(str(share)))
        wanted[TRIAL_VARIANT]["DesiredWeight"] = float(share)
    if level:
        counts = {name: variants[name].get("CurrentInstanceCount", 0) for name in wanted}
        for name, count in counts.items():
            if count < max(counts.values()):
                wanted[name]["DesiredInstanceCount"] = max(counts.values())
    return [{"VariantName": name, **change} for name, change in wanted.items() if change]


def with_counts(changes: Iterable[Mapping[str, Any]], counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Add numbers of instances to changes of weights.

    :param changes: DesiredWeightsAndCapacities
    :param counts: the number of instances that a variant gets, by its name
    :returns: DesiredWeightsAndCapacities
    """
    wanted = {one["VariantName"]: dict(one) for one in changes}
    for name, count in counts.items():
        wanted.setdefault(name, {"VariantName": name})["DesiredInstanceCount"] = count
    return list(wanted.values())
