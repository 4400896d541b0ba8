"""What production has served, read from marks on the model packages: each says which package it took the place of.

There is no list of its own that could disagree with what is deployed. The stack says which package is live; from there
one package leads to the one before it. A deployment that failed leaves a mark that nothing leads to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from slipway.deployment.parameters import MODEL_PACKAGE_ARN
from slipway.plan import ReleasePlan
from slipway.registry.metadata import metadata_value

# Entries of a model package's metadata, written before the change set is executed.
BEFORE = "slipway-production-before"
ROLLED_BACK = "slipway-rolled-back"
# Written by the garbage collection: what the package names is no longer there.
COLLECTED = "slipway-collected-at"
# What the first release took the place of. The service takes no empty texts.
NOTHING = "-"


def marks(package: Mapping[str, Any], plan: ReleasePlan, live_arn: str | None, run_id: str) -> dict[str, str]:
    """Say what has to be written on a package before production serves it.

    :param package: what DescribeModelPackage answered
    :param plan: the release that is about to be deployed
    :param live_arn: the package that production serves now; None for none
    :param run_id: the run that deploys it
    :returns: metadata by key; empty where all of it is there
    """
    properties = package.get("CustomerMetadataProperties", {})
    if live_arn == package["ModelPackageArn"]:
        return {}
    wanted = {}
    # A release that comes back keeps its place: what was before it is still what was before it. And a stack that is
    # made again does not say what was there.
    if BEFORE not in properties or (live_arn and not plan.rolls_back):
        wanted[BEFORE] = metadata_value(live_arn or NOTHING)
    if plan.rolls_back:
        left = version(live_arn) if live_arn else NOTHING
        wanted[ROLLED_BACK] = metadata_value(f"{plan.sequence} by {plan.rolled_back_by} from {left} in {run_id}")
    return {key: text for key, text in wanted.items() if properties.get(key) != text}


def live_arn(
    outputs: Mapping[str, str], *, judged: bool, of_artefact: Callable[[str], Mapping[str, Any] | None]
) -> str | None:
    """Find the package of production's live model: where trials are judged, a model on trial is not the live one.

    :param outputs: the outputs of production's stack; empty for a stack that is not there
    :param judged: whether the model file has a trial
    :param of_artefact: gives the package of an artefact's S3 URI; None for none
    :returns: the package's ARN; None where nothing is live
    """
    newest = outputs.get(MODEL_PACKAGE_ARN)
    if not judged or "ModelBDataUrl" not in outputs:
        return newest
    live = of_artefact(outputs["ModelADataUrl"])
    return live["ModelPackageArn"] if live else newest


def before(package: Mapping[str, Any]) -> str | None:
    """:returns: the ARN of the package that this one took the place of; None where there was none, or none is known"""
    arn = package.get("CustomerMetadataProperties", {}).get(BEFORE, NOTHING)
    return None if arn == NOTHING else arn


def chain(live_arn: str | None, describe: Callable[[str], Mapping[str, Any] | None]) -> Iterator[Mapping[str, Any]]:
    """Go back in time from what production serves.

    :param live_arn: the package that production serves; None for none
    :param describe: gives DescribeModelPackage's answer for an ARN; None for a package that is gone
    :returns: packages, the live one first; lazily
    """
    seen: set[str] = set()
    arn = live_arn
    while arn and arn not in seen:
        seen.add(arn)
        package = describe(arn)
        if package is None:
            return
        yield package
        arn = before(package)


def version(arn: str) -> str:
    """:returns: a model package's number in its group"""
    return arn.rpartition("/")[2]
