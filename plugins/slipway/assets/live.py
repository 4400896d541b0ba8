"""The event that says: production serves another model, and it has passed its test.

Airflow stores the events of a task in the transaction that makes the task a success, so an attempt that is killed
leaves none. A task that ends well twice, because somebody has cleared it, finds its first event and adds none: an event
differs from the one before it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.assets.endpoint import create_asset, live_alias
from slipway.host.assets import newest_event
from slipway.host.links import run_url
from slipway.names import package_version
from slipway.plan import ReleasePlan
from slipway.states import Environment

if TYPE_CHECKING:
    from airflow.sdk import AssetAlias, Context

log = logging.getLogger(__name__)

# The output of an endpoint's stack that names the model package, see endpoint.yaml.
MODEL_PACKAGE_ARN = "ModelPackageArn"
# What tells one state of production from another: its model, and the stack, which is another one after a teardown.
_IDENTITY = ("model_package_arn", "stack_id")
# What the event has of the result of test_prd.
_HELD_OUT = ("rows", "accuracy", "accuracy_minimum", "rmse", "rmse_maximum", "latency_ms", "golden_rows")


def announce(
    context: Context,
    plan: ReleasePlan,
    place: tuple[str, str],
    deployed: Mapping[str, Any],
    tested: Mapping[str, Any],
    *,
    change: str,
    judged: bool = False,
) -> bool:
    """Add the event that production serves this model, unless the last event says so or the model is on trial.

    :param context: of a task with ``live_alias`` among its outlets
    :param plan: the release, or the one that production was rolled back to
    :param place: region and account of production
    :param deployed: the result of the task that deployed it last
    :param tested: the result of ``test_prd``
    :param change: ``released``, ``rolled back`` or ``promoted``
    :param judged: whether the model file has trials: the model on trial is not the live one
    :returns: whether it was added
    """
    outputs = deployed["outputs"]
    if judged and "ModelBDataUrl" in outputs:
        return False
    region, account = place
    asset = create_asset(region=region, account=account, endpoint=plan.endpoint(Environment.PRODUCTION))
    alias, run, package_arn = live_alias(plan.prefix), context["dag_run"], outputs[MODEL_PACKAGE_ARN]
    extra: dict[str, Any] = {
        "model": plan.prefix,
        "change": change,
        "revision": plan.revision_id,
        "version_id": plan.revision.version_id,
        "digest": plan.digest,
        "version": int(package_version(package_arn)),
        "model_package_arn": package_arn,
        "stack_id": deployed["stack_id"],
        "held_out": {name: tested[name] for name in _HELD_OUT if name in tested},
        "run": {"dag_id": run.dag_id, "run_id": run.run_id, "url": run_url(run.dag_id, run.run_id)},
        "rolled_back_by": plan.rolled_back_by,
    }
    last = _last(alias, asset.uri)
    if all(last.get(name) == extra[name] for name in _IDENTITY):
        log.info("The last event of %s says already that it serves %s", asset.uri, package_arn)
        return False
    context["outlet_events"][alias].add(asset, extra=extra)
    log.info("Announcing that %s serves %s", asset.uri, package_arn)
    return True


def _last(alias: AssetAlias, uri: str) -> Mapping[str, Any]:
    """Return what the newest event under the alias says; nothing if that was about another endpoint."""
    event = newest_event(alias)
    return event.extra if event and event.asset.uri == uri else {}
