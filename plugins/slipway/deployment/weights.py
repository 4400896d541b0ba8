"""How requests are shared between an endpoint's variants: read from what it describes, and what would change it.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpointWeightsAndCapacities.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from slipway.names import LIVE_VARIANT, TRIAL_VARIANT

# SageMaker keeps weights in single precision: what was set as 0.1 comes back as 0.10000000149.
_TOLERANCE = 1e-4


def trial_share(endpoint: Mapping[str, Any]) -> float | None:
    """Read the share of requests that the model on trial gets.

    :param endpoint: what DescribeEndpoint answered
    :returns: 0 to 1; None where it has no such variant
    """
    weights = {one["VariantName"]: one["CurrentWeight"] for one in endpoint.get("ProductionVariants", ())}
    if TRIAL_VARIANT not in weights or LIVE_VARIANT not in weights:
        return None
    return weights[TRIAL_VARIANT] / sum(weights.values())


def stated_share(parameters: Mapping[str, str]) -> float | None:
    """Read the share of requests that a stack gives to the model on trial.

    :param parameters: the parameters of an endpoint stack
    :returns: 0 to 1; None where it has no such variant
    """
    if not parameters.get("ModelBDataUrl"):
        return None
    live, trial = float(parameters["ModelAWeight"]), float(parameters["ModelBWeight"])
    return trial / (live + trial)


def same(share: float, other: float) -> bool:
    """:returns: whether two shares are one, but for the precision they are kept in"""
    return math.isclose(share, other, rel_tol=0, abs_tol=_TOLERANCE)


def next_step(share: float, steps: Iterable[float]) -> float | None:
    """:returns: the first step beyond a share; None from the last one on"""
    return next((step for step in steps if step > share and not same(step, share)), None)


def changes(endpoint: Mapping[str, Any], share: float, *, level: bool) -> list[dict[str, Any]]:
    """Work out what brings an endpoint to a share.

    Where variants are scaled by themselves, requests that move would meet a variant with the instances of the little
    it had before, and one that takes the other's place would lose what the other had been scaled to. So both get the
    larger one's instances first; auto scaling takes back what is too many.

    :param endpoint: what DescribeEndpoint answered
    :param share: what the model on trial is to get
    :param level: whether both variants are to have the same number of instances
    :returns: DesiredWeightsAndCapacities; empty where there is nothing to change, or no model on trial
    """
    now = trial_share(endpoint)
    if now is None:
        return []
    variants = {one["VariantName"]: one for one in endpoint["ProductionVariants"]}
    wanted: dict[str, dict[str, Any]] = {name: {} for name in (LIVE_VARIANT, TRIAL_VARIANT)}
    if not same(now, share):
        # Decimal, so that 1 - 0.1 is the 0.9 that a person expects to read.
        wanted[LIVE_VARIANT]["DesiredWeight"] = float(1 - Decimal(str(share)))
        wanted[TRIAL_VARIANT]["DesiredWeight"] = float(share)
    if level:
        counts = {name: variants[name].get("CurrentInstanceCount", 0) for name in wanted}
        for name, count in counts.items():
            if count < max(counts.values()):
                wanted[name]["DesiredInstanceCount"] = max(counts.values())
    return [{"VariantName": name, **change} for name, change in wanted.items() if change]
