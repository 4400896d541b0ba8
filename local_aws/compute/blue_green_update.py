"""Deployments that launch a whole new fleet beside the old one, which stays until the end.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html
"""

from __future__ import annotations

from collections.abc import Mapping

from local_aws.compute.endpoint_update import EndpointUpdate, Interrupted
from local_aws.compute.fleet import Fleet
from local_aws.compute.route import Route
from local_aws.compute.update_policy import portion

# The status's words for the capacity that a step has activated.
_CAPACITY = {"canary": "canary", "linear": "linear step"}


def deploy(update: EndpointUpdate) -> None:
    """Launch, shift in steps, watch each, and stop the old fleets.

    :raises RolledBack: an alarm or the timeout ended it; the old fleets serve
    :raises ContainerFailed: a new fleet did not become healthy; the same
    :raises Interrupted: the local AWS stops
    """
    bake, actions, old = update.bake, update.actions, update.old
    counts = {spec.name: spec.instance_count for spec in update.specs}
    bake.report("Creating", "Launching {} instance(s).", counts, {})
    new = _launched(update)
    try:
        bake.check()
        for step in _steps(update):
            _shift(update, new, step)
    except Interrupted:
        raise
    except Exception:
        bake.report("RollingBack", "Terminating {} instance(s).", counts, {})
        actions.set_route(old)
        raise
    bake.report("Deleting", "Terminating {} instance(s).", _counts(old.fleets), counts)
    actions.set_route(Route.of(new))


def _launched(update: EndpointUpdate) -> list[Fleet]:
    fleets = [update.fleet(spec, update.start(spec, spec.instance_count)) for spec in update.specs]
    update.actions.wait_ready([instance for fleet in fleets for instance in fleet.instances])
    return fleets


def _steps(update: EndpointUpdate) -> list[dict[str, float]]:
    """Return the share of each variant's new fleet after each step; a variant that needs fewer steps stays at 1."""
    each = {spec.name: update.policy.steps(spec.instance_count) for spec in update.specs}
    count = max(len(steps) for steps in each.values())
    return [{name: steps[min(n, len(steps) - 1)] for name, steps in each.items()} for n in range(count)]


def _shift(update: EndpointUpdate, new: list[Fleet], step: Mapping[str, float]) -> None:
    policy, old = update.policy, update.old.fleets
    if min(step.values()) == 1:
        update.actions.set_route(Route.of(new, standby=old))
        update.bake.step(_counts(new), "full", "TerminationWaitInSeconds", policy.termination_wait_seconds)
        return
    active = [
        Fleet(fleet.spec, fleet.opt_ml, fleet.instances[: portion(step[fleet.spec.name], len(fleet.instances))])
        for fleet in new
    ]
    update.actions.set_route(Route.between(old, active, step).with_standby(new))
    update.bake.step(_counts(active), _CAPACITY[policy.kind], "WaitIntervalInSeconds", policy.wait_seconds)


def _counts(fleets: list[Fleet] | tuple[Fleet, ...]) -> dict[str, int]:
    return {fleet.spec.name: len(fleet.instances) for fleet in fleets}
