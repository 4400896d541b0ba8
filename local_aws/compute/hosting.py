"""Endpoints: variants, their instances and the requests that go to them.

Call `invoke` on the event loop and running_instances in any thread. Call deploy, update, set_capacities, remove, start
and stop in worker threads, because they block. A route is never changed, only replaced: a request keeps the one it has
read, and reads the new one if its instance has been taken out of service.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from local_aws.compute import blue_green_update, s3
from local_aws.compute.base import Compute, ComputeSettings, ContainerFailed, EndpointKey, InvokeResult, VariantSpec
from local_aws.compute.capture import DataCapture
from local_aws.compute.endpoint_metrics import EndpointMetrics
from local_aws.compute.endpoint_update import Bake, EndpointActions, EndpointUpdate, Watch
from local_aws.compute.fleet import SHUTDOWN_DRAIN_SECONDS, SHUTDOWN_GRACE_SECONDS, Fleet, Instance, close_all
from local_aws.compute.invocation import MAX_BODY_BYTES, InstanceLost, ask_model, error, forwarded_headers
from local_aws.compute.logs import LogStream
from local_aws.compute.model_connection import ModelConnections, Unreachable
from local_aws.compute.rolling_update import RollingUpdate
from local_aws.compute.route import Route
from local_aws.compute.update_policy import UpdatePolicy
from local_aws.compute.utilization import Utilization
from local_aws.compute.variant_image import pull_image
from local_aws.settings import Clock

# A request that finds a closing fleet reads the route again, at most this often.
_MAX_ROUTES_TRIED = 5


class Hosting:
    """All endpoints of the local AWS."""

    def __init__(self, settings: ComputeSettings, compute: Compute) -> None:
        self._settings = settings
        self._compute = compute
        self._folder = settings.state_dir / "hosting"
        self._metrics = EndpointMetrics(settings)
        self._capture = DataCapture(settings)
        self._utilization = Utilization(settings, settings.state_dir)
        # Guards _routes and _operations where they are changed; a look-up in _routes is atomic and takes no lock.
        self._lock = threading.Lock()
        self._routes: dict[EndpointKey, Route] = {}
        # Serialise the changes of one endpoint.
        self._operations: defaultdict[EndpointKey, threading.Lock] = defaultdict(threading.Lock)
        # Guarded by _lock: every instance that is not closed, also those of a running deployment.
        self._instances: set[Instance] = set()
        self._stopped = False
        # Whether endpoints of an earlier process may still be missing.
        self._recovering = True
        # Used on the event loop's thread only.
        self._connections = ModelConnections()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start putting metrics and captured requests; call it once, before anything is deployed."""
        s3.remove_folder(self._folder)
        self._metrics.start()
        self._capture.start()
        self._utilization.start()

    def recovered(self) -> None:
        """Note that all endpoints of an earlier process are restored: a missing one does not exist from now on."""
        self._recovering = False

    def stop(self) -> None:
        """Stop every model server and the background threads; requests in flight get some time to end."""
        with self._lock:
            self._stopped = True
            self._routes.clear()
            instances = list(self._instances)
        close_all(instances, SHUTDOWN_DRAIN_SECONDS, SHUTDOWN_GRACE_SECONDS)
        self._metrics.stop()
        self._capture.stop()
        self._utilization.stop()
        if self._loop and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._connections.close)

    @contextlib.contextmanager
    def _operation(self, key: EndpointKey) -> Iterator[None]:
        with self._lock:
            operation = self._operations[key]
        with operation:
            yield

    def deploy(self, key: EndpointKey, variants: Sequence[VariantSpec]) -> None:
        """Start an endpoint's fleets, and replace those it may have; worker threads only.

        :raises ContainerFailed: a fleet did not become healthy
        """
        with self._operation(key), self._downloaded(key, variants) as (folder, variants):
            fleets = [
                Fleet(spec, folder / spec.name, self._new_instances(key, spec, folder / spec.name, spec.instance_count))
                for spec in variants
            ]
            self._wait_ready([instance for fleet in fleets for instance in fleet.instances])
            self._replace(key, Route.of(fleets))

    def update(
        self, key: EndpointKey, variants: Sequence[VariantSpec], policy: UpdatePolicy, watch: Watch, clock: Clock
    ) -> None:
        """Replace an endpoint's fleets while they serve; worker threads only.

        Returns when only the new fleets are left: the old ones have answered their last requests and are gone.

        :param policy: in which steps the traffic moves
        :param watch: gets the reports, and checks the alarms
        :raises RolledBack: an alarm or the timeout ended it; the old fleets go on serving
        :raises ContainerFailed: a new fleet did not become healthy; the same
        :raises Interrupted: the local AWS stops
        """
        bake = Bake(policy, watch, clock)
        with self._operation(key), self._downloaded(key, variants) as (folder, variants):
            bake.check()
            actions = EndpointActions(partial(self._new_instances, key), self._wait_ready, partial(self._replace, key))
            update = EndpointUpdate(actions, self._routes[key], variants, folder, policy, bake)
            if policy.kind == "rolling":
                RollingUpdate(update).deploy()
            else:
                blue_green_update.deploy(update)

    @contextlib.contextmanager
    def _downloaded(
        self, key: EndpointKey, variants: Sequence[VariantSpec]
    ) -> Iterator[tuple[Path, Sequence[VariantSpec]]]:
        """Yield a directory with the variants' models, which is removed if they are not deployed.

        With it come the variants with the digests of their images, so that a tag that moves changes no endpoint.
        """
        folder = self._folder / key.region / key.account_id / key.name / uuid.uuid4().hex
        try:
            pinned = [replace(variant, image=self.resolve(key, variant)) for variant in variants]
            for variant in pinned:
                # The instances of a variant share the directory: model servers only read it.
                model = folder / variant.name / "model"
                if variant.model_data_url:
                    client = self._settings.client("s3", key.account_id, key.region, variant.role_arn)
                    s3.download_model(client, variant.model_data_url, model)
                else:
                    model.mkdir(parents=True)
            yield folder, pinned
        except BaseException:
            s3.remove_folder(folder)
            raise

    def resolve(self, key: EndpointKey, variant: VariantSpec) -> str:
        """Pull a variant's image and return its URI with the digest; worker threads only.

        :raises ContainerFailed: it cannot be pulled
        """
        return pull_image(self._settings, self._compute, key, variant)

    def _new_instances(self, key: EndpointKey, variant: VariantSpec, opt_ml: Path, count: int) -> list[Instance]:
        client = self._settings.client("logs", key.account_id, key.region, variant.role_arn)
        pull = partial(self.resolve, key, variant)

        def new_log(stream: str) -> LogStream:
            return LogStream(client, f"/aws/sagemaker/Endpoints/{key.name}", stream)

        with self._lock:
            if self._stopped:
                raise ContainerFailed("The local AWS is stopping.")
            new = [Instance(self._compute, variant, opt_ml, new_log, pull) for _ in range(count)]
            self._instances.update(new)
        self._utilization.watch(key, variant.name, new)
        return new

    def _close(self, instances: Sequence[Instance]) -> None:
        close_all(instances)
        with self._lock:
            self._instances.difference_update(instances)

    def _wait_ready(self, instances: Sequence[Instance]) -> None:
        try:
            for instance in instances:
                instance.wait_ready()
        except ContainerFailed:
            self._close(instances)
            raise

    def _replace(self, key: EndpointKey, new: Route | None) -> None:
        """Switch the traffic, then drain and stop the instances that only the old route has."""
        with self._lock:
            old = self._routes.pop(key, None)
            if new:
                self._routes[key] = new
        kept = set(new.instances()) if new else set()
        folders = {fleet.opt_ml.parent for fleet in new.held} if new else set()
        if old:
            self._close([instance for instance in old.instances() if instance not in kept])
            for folder in {fleet.opt_ml.parent for fleet in old.held} - folders:
                s3.remove_folder(folder)

    def set_capacities(self, key: EndpointKey, weights: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """Change weights and instance counts of named variants; worker threads only, blocks until it is done.

        :raises KeyError: there is no such endpoint
        :raises ContainerFailed: a new instance did not become healthy; nothing was changed
        """
        with self._operation(key):
            fleets = []
            added: list[Instance] = []
            for fleet in self._routes[key].fleets:
                spec = replace(
                    fleet.spec,
                    weight=weights.get(fleet.spec.name, fleet.spec.weight),
                    instance_count=counts.get(fleet.spec.name, fleet.spec.instance_count),
                )
                missing = spec.instance_count - len(fleet.instances)
                new = self._new_instances(key, spec, fleet.opt_ml, missing)
                added += new
                fleets.append(Fleet(spec, fleet.opt_ml, [*fleet.instances[: spec.instance_count], *new]))
            self._wait_ready(added)
            self._replace(key, Route.of(fleets))

    def remove(self, key: EndpointKey) -> None:
        """Stop the endpoint's model servers after their requests in flight; worker threads only. Missing is fine."""
        with self._operation(key):
            self._replace(key, None)
            s3.remove_folder(self._folder / key.region / key.account_id / key.name)

    def running_instances(self, key: EndpointKey) -> dict[str, int]:
        """Return the number of healthy instances by variant; any thread."""
        route = self._routes.get(key)
        return route.healthy() if route else {}

    async def invoke(
        self, key: EndpointKey, body: bytes, headers: Mapping[str, str], target_variant: str | None = None
    ) -> InvokeResult:
        """Answer InvokeEndpoint; from the event loop only. Errors are results too, in AWS's form.

        :param headers: the caller's; Content-Type, Accept and X-Amzn-SageMaker-* reach the container
        :param target_variant: TargetVariant of the request, None to choose by weight
        """
        arrived = time.perf_counter()
        if len(body) > MAX_BODY_BYTES:
            return error("ValidationError", f"Request body of {len(body)} bytes exceeded limit {MAX_BODY_BYTES}")
        self._loop = asyncio.get_running_loop()
        forwarded = forwarded_headers(headers)
        tried: list[Fleet] = []
        lost: InvokeResult | None = None
        # Instances that have ended, and may count as healthy until their threads have noticed.
        gone: set[Instance] = set()
        while len(tried) < _MAX_ROUTES_TRIED:
            route = self._routes.get(key)
            if route is None and (self._recovering or self._stopped):
                return error(
                    "ServiceUnavailable", f"Endpoint {key.name} is not here: the local AWS is starting or stopping."
                )
            if route is None:
                return error("ValidationError", f"Endpoint {key.name} of account {key.account_id} not found.")
            fleet = route.choose(target_variant, tried)
            if fleet is None:
                return error("ValidationError", f"Variant {target_variant} not found for endpoint {key.name}.")
            acquired = fleet.acquire(gone)
            if acquired is None:
                tried.append(fleet)
                continue
            instance, port = acquired
            sent = time.perf_counter()
            try:
                result, status = await ask_model(self._connections, key, fleet.spec.name, port, body, forwarded)
            except Unreachable:
                gone.add(instance)
                continue
            except InstanceLost as loss:
                # Another instance is tried once, because a request that kills its model must not reach all instances.
                if lost is None and len(fleet.instances) > 1:
                    lost = loss.answer
                    gone.add(instance)
                    continue
                result, status = loss.answer, 500
            finally:
                instance.release()
            model_us = (time.perf_counter() - sent) * 1e6
            self._metrics.record(
                key,
                fleet.spec.name,
                status,
                model_us=model_us,
                overhead_us=(sent - arrived) * 1e6,
                instances=len(fleet.instances),
                config_name=fleet.spec.config_name,
            )
            if capture := fleet.spec.capture:
                self._capture.record(key, fleet.spec.name, capture, body, forwarded, result)
            return result
        return lost or error(
            "ServiceUnavailable", f"Endpoint {key.name} has no healthy instance for this request. Try again."
        )
