"""What production costs an hour before and after an approval: an estimate, from the table of prices."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slipway.aws.sagemaker import SageMakerHook
from slipway.errors import SlipwayError
from slipway.names import LIVE_VARIANT, TRIAL_VARIANT
from slipway.prices import prices
from slipway.request.contents import PRODUCTION_INSTANCES, PRODUCTION_SCALING

log = logging.getLogger(__name__)

_INSTANCES = re.compile(r"(\d{1,9}) x (\S+)")


@dataclass(frozen=True)
class VariantInstances:
    """The instances of one variant.

    :param count: those that run, or that are started
    :param wanted: those that the variant is to have; a change of the endpoint keeps this number with auto scaling
    """

    variant: str
    instance_type: str
    count: int
    wanted: int


def running_now(endpoint_name: str, sagemaker: SageMakerHook) -> list[VariantInstances] | None:
    """Read the instances of an endpoint.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantSummary.html

    :param endpoint_name: the endpoint
    :param sagemaker: SageMaker
    :returns: empty if there is no endpoint; None if AWS does not show it
    """
    try:
        endpoint = sagemaker.describe_endpoint(endpoint_name)
        if endpoint is None:
            return []
        config = sagemaker.describe_endpoint_config(endpoint["EndpointConfigName"]) or {}
    except SlipwayError as error:
        # The question is worth asking without the costs; the screen says that they are not known.
        log.warning("The instances of production cannot be read: %s", error.problem)
        return None
    types = {one["VariantName"]: one.get("InstanceType", "") for one in config.get("ProductionVariants", ())}
    found = []
    for one in endpoint.get("ProductionVariants", ()):
        count = one.get("CurrentInstanceCount", 0)
        name = one["VariantName"]
        found.append(VariantInstances(name, types.get(name, ""), count, one.get("DesiredInstanceCount", count)))
    return found


def running_then(
    settings: Mapping[str, str], now: Sequence[VariantInstances] | None, *, on_trial: bool
) -> list[VariantInstances] | None:
    """Work out the instances of production after an approval, as ``deployment/endpoint.yaml`` sets them.

    Every variant gets what the zip asks for. With auto scaling, a variant that is there keeps its number.

    :param settings: those of the release's zip, see Contents
    :param now: the instances now; None if they are not known
    :param on_trial: whether the live model stays, and the new one runs beside it
    :returns: None if the zip's instances are not known
    """
    asked = _INSTANCES.fullmatch(settings.get(PRODUCTION_INSTANCES, ""))
    if asked is None:
        return None
    kept = {one.variant: one.wanted for one in now or ()} if PRODUCTION_SCALING in settings else {}
    variants = (LIVE_VARIANT, TRIAL_VARIANT) if on_trial else (LIVE_VARIANT,)
    counts = {name: kept.get(name, int(asked[1])) for name in variants}
    return [VariantInstances(name, asked[2], count, count) for name, count in counts.items()]


def costs_say(
    settings: Mapping[str, str] | None, now: Sequence[VariantInstances] | None, region: str, *, on_trial: bool
) -> str:
    """Say what production runs on and costs, before and after an approval.

    :param settings: those of the release's zip; None if they are not known
    :param now: the instances now; empty without an endpoint, None if they are not known
    :param region: the AWS region
    :param on_trial: whether the live model stays, and the new one runs beside it
    """
    then = running_then(settings or {}, now, on_trial=on_trial)
    if then is None:
        after = "What production then costs is not known"
    elif now and _counted(then) == _counted(now):
        return f"Production runs {_words(then, region)}, as now.{_scaling(settings)}"
    else:
        after = f"Production then runs {_words(then, region)}"
    if now is None:
        before = "what it costs now is not known"
    else:
        before = f"now it runs {_words(now, region)}" if now else "now it runs nothing"
    return f"{after}; {before}.{_scaling(settings)}"


def region_of(arn: str | None) -> str:
    """Return the region that an ARN names; empty if it names none.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    """
    parts = (arn or "").split(":")
    return parts[3] if len(parts) > 3 else ""


def _counted(fleet: Sequence[VariantInstances]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in fleet:
        found[one.instance_type] += one.count
    return found


def _words(fleet: Sequence[VariantInstances], region: str) -> str:
    """Name the instances, and what they cost an hour as far as their prices are known."""
    counted, table = _counted(fleet), prices()
    named = " and ".join(f"{count} x {name or 'an unknown type'}" for name, count in sorted(counted.items()))
    known = {name: price for name in counted if (price := table.of(name, region)) is not None}
    unknown = [name or "an unknown type" for name in sorted(counted) if name not in known]
    if not known:
        return f"{named} at a price that is not known"
    cost = sum(price * counted[name] for name, price in known.items())
    without = f" without {' and '.join(unknown)}" if unknown else ""
    return f"{named} for an estimated {_dollars(cost)} an hour{without}"


def _dollars(sum_: float) -> str:
    """Write a sum: a small one with more digits, because some instances cost a few cents."""
    return f"${sum_:.{3 if sum_ < 0.1 else 2}f}"


def _scaling(settings: Mapping[str, str] | None) -> str:
    instances, _, _ = (settings or {}).get(PRODUCTION_SCALING, "").partition(",")
    return f" Auto scaling then keeps {instances} of each variant." if instances else ""
