"""Deployments that replace a fleet in batches, so that at most one batch of instances is extra.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-rolling.html
"""

from __future__ import annotations

from local_aws.compute.base import ContainerFailed
from local_aws.compute.endpoint_update import EndpointUpdate, Interrupted
from local_aws.compute.fleet import Fleet
from local_aws.compute.route import Route
from local_aws.compute.update_policy import RolledBack, portion, shares


class RollbackFailed(RolledBack):
    """A deployment and its roll-back failed: fewer of the old instances serve than before."""


class RollingUpdate:
    """One rolling deployment, of the endpoint's only variant."""

    def __init__(self, update: EndpointUpdate) -> None:
        self._update = update
        self._bake = update.bake
        self._actions = update.actions
        (self._spec,) = update.specs
        (self._old,) = update.old.fleets
        self._whole = len(self._old.instances)
        self._new = update.fleet(self._spec, [])
        # The new instances' share of the requests.
        self._share = 0.0

    def deploy(self) -> None:
        """For each batch: launch it, move its share, watch it, and stop what it replaces.

        :raises RolledBack: an alarm or the timeout ended it; the whole old fleet serves again
        :raises RollbackFailed: the same, but only a part of the old fleet serves
        :raises ContainerFailed: a new instance did not become healthy; the whole old fleet serves again
        :raises Interrupted: the local AWS stops
        """
        try:
            for share in self._update.policy.steps(self._spec.instance_count):
                self._roll(share)
        except Interrupted:
            raise
        except Exception as failure:
            self._roll_back(failure)
            raise

    def _roll(self, share: float) -> None:
        spec, bake, policy = self._spec, self._bake, self._update.policy
        missing = portion(share, spec.instance_count) - len(self._new.instances)
        self._report("Creating", "Launching {} instance(s).", missing)
        started = self._update.start(spec, missing)
        self._actions.wait_ready(started)
        self._new = Fleet(spec, self._new.opt_ml, [*self._new.instances, *started])
        self._set_route(share)
        new, old = self._counts()
        bake.step(new, "rolling batch", "WaitIntervalInSeconds", policy.wait_seconds, old)
        kept = self._old.instances[: portion(1 - share, self._whole)]
        self._report("Deleting", "Terminating {} instance(s).", len(self._old.instances) - len(kept))
        self._old = Fleet(self._old.spec, self._old.opt_ml, kept)
        self._set_route(share)

    def _roll_back(self, failure: Exception) -> None:
        self._report("RollingBack", "Terminating {} instance(s).", len(self._new.instances))
        spec, had = self._old.spec, len(self._old.instances)
        try:
            for share in shares(self._update.policy.rollback_size.share(self._whole)):
                if round(share + self._share, 6) <= 1:
                    # The old instances have this share of the traffic already.
                    continue
                missing = portion(share, self._whole) - len(self._old.instances)
                if missing > 0:
                    started = self._actions.start(spec, self._old.opt_ml, missing)
                    self._actions.wait_ready(started)
                    self._old = Fleet(spec, self._old.opt_ml, [*self._old.instances, *started])
                left = portion(1 - share, self._spec.instance_count)
                self._new = Fleet(self._spec, self._new.opt_ml, self._new.instances[:left])
                self._set_route(1 - share)
        except ContainerFailed as second:
            self._actions.set_route(Route.of([self._old]))
            raise RollbackFailed(f"{failure} The rollback failed with {had} old instance(s) left: {second}") from second

    def _set_route(self, share: float) -> None:
        self._share = share
        new = [self._new] if self._new.instances else []
        old = [self._old] if self._old.instances else []
        if not (new and old):
            self._actions.set_route(Route.of([*old, *new]))
        else:
            self._actions.set_route(Route.between(old, new, {self._spec.name: share}))

    def _report(self, status: str, message: str, count: int) -> None:
        self._bake.report(status, message, {self._spec.name: count}, *self._counts())

    def _counts(self) -> tuple[dict[str, int], dict[str, int]]:
        return {self._spec.name: len(self._new.instances)}, {self._spec.name: len(self._old.instances)}
