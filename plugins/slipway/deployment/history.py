"""The history of production, as marks on the model packages: each names the package that it replaced.

The stack names the live package, and each package's mark names the one before it. So there is no separate list that
could differ from what is deployed. No mark points to a package whose deployment failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from slipway.deployment.parameters import MODEL_PACKAGE_ARN
from slipway.names import package_version
from slipway.plan import ReleasePlan
from slipway.registry.metadata import metadata_value

# Entries in a model package's metadata, written before the change set is executed.
BEFORE = "slipway-production-before"
ROLLED_BACK = "slipway-rolled-back"
# Written by garbage collection: the package's artefact has been removed.
COLLECTED = "slipway-collected-at"
# Stands for no package: the service refuses empty texts.
NOTHING = "-"


def marks(package: Mapping[str, Any], plan: ReleasePlan, live_arn: str | None, run_id: str) -> dict[str, str]:
    """Return the metadata to write on a package before production serves it.

    :param package: what DescribeModelPackage answered
    :param plan: the release that is about to be deployed
    :param live_arn: the package that production serves now, or None
    :param run_id: the run that deploys it
    :returns: metadata by key, without entries that are written already
    """
    properties = package.get("CustomerMetadataProperties", {})
    if live_arn == package["ModelPackageArn"]:
        return {}
    wanted = {}
    # A roll-back keeps the release's old mark. A stack that is made again names no live package, so a mark stays.
    if BEFORE not in properties or (live_arn and not plan.rolls_back):
        wanted[BEFORE] = metadata_value(live_arn or NOTHING)
    if plan.rolls_back:
        left = package_version(live_arn) if live_arn else NOTHING
        wanted[ROLLED_BACK] = metadata_value(f"{plan.sequence} by {plan.rolled_back_by} from {left} in {run_id}")
    return {key: text for key, text in wanted.items() if properties.get(key) != text}


def live_arn(
    outputs: Mapping[str, str], *, judged: bool, of_artefact: Callable[[str], Mapping[str, Any] | None]
) -> str | None:
    """Find the package of production's live model. Where trials are judged, the model on trial is not the live one.

    :param outputs: the outputs of production's stack; empty if there is no stack
    :param judged: whether the model file has a trial
    :param of_artefact: finds the package of an artefact's S3 URI, or None
    :returns: the package's ARN; None if nothing is live
    """
    newest = outputs.get(MODEL_PACKAGE_ARN)
    if not judged or "ModelBDataUrl" not in outputs:
        return newest
    live = of_artefact(outputs["ModelADataUrl"])
    return live["ModelPackageArn"] if live else newest


def before(package: Mapping[str, Any]) -> str | None:
    """Return the ARN of the package that this one replaced; None if there was none or none is known."""
    arn = package.get("CustomerMetadataProperties", {}).get(BEFORE, NOTHING)
    return None if arn == NOTHING else arn


def chain(live_arn: str | None, describe: Callable[[str], Mapping[str, Any] | None]) -> Iterator[Mapping[str, Any]]:
    """Iterate over what production has served, from now back in time.

    :param live_arn: the package that production serves, or None
    :param describe: returns DescribeModelPackage's answer for an ARN; None if the package was deleted
    :returns: packages, the live one first; each is read when it is needed
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
