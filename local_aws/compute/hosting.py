"""Endpoints: variants, their instances and the requests that go to them.

Threads: `invoke` belongs to the event loop; deploy, set_capacities, remove, start and stop block and belong to worker
threads; running_instances may be called by any. A route is never changed, only replaced: a request keeps the one it
read, and an instance that has meanwhile been taken out of service sends it back for the new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from local_aws.compute import s3
from local_aws.compute.base import Compute, ComputeSettings, ContainerFailed, EndpointKey, InvokeResult, VariantSpec
from local_aws.compute.endpoint_metrics import EndpointMetrics
from local_aws.compute.fleet import SHUTDOWN_DRAIN_SECONDS, SHUTDOWN_GRACE_SECONDS, Fleet, Instance, close_all
from local_aws.compute.images import algorithm
from local_aws.compute.invocation import MAX_BODY_BYTES, ask_model, error, forwarded_headers
from local_aws.compute.logs import LogStream
from local_aws.compute.model_connection import ModelConnections, Unreachable

# A request that meets a fleet on its way out reads the route again; more than a few times means there is none.
_MAX_ROUTES_TRIED = 5


@dataclass(frozen=True)
class _Route:
    fleets: tuple[Fleet, ...]

    def instances(self) -> list[Instance]:
        return [instance for fleet in self.fleets for instance in fleet.instances]

    def choose(self, target_variant: str | None) -> Fleet | None:
        if target_variant is not None:
            return next((fleet for fleet in self.fleets if fleet.spec.name == target_variant), None)
        if len(self.fleets) == 1:
            return self.fleets[0]
        weights = [fleet.spec.weight for fleet in self.fleets]
        return random.choices(self.fleets, weights if sum(weights) else None)[0]


class Hosting:
    """All endpoints of the local AWS."""

    def __init__(self, settings: ComputeSettings, compute: Compute) -> None:
        self._settings = settings
        self._compute = compute
        self._folder = settings.state_dir / "hosting"
        self._metrics = EndpointMetrics(settings)
        # Guards _routes and _operations where they are changed; a look-up in _routes is atomic and takes no lock.
        self._lock = threading.Lock()
        self._routes: dict[EndpointKey, _Route] = {}
        # Serialise what changes one endpoint.
        self._operations: defaultdict[EndpointKey, threading.Lock] = defaultdict(threading.Lock)
        # Guarded by _lock: every instance that is not closed, those of a deployment under way too.
        self._instances: set[Instance] = set()
        self._stopped = False
        # Of the event loop's thread alone.
        self._connections = ModelConnections()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start putting metrics; call it once, before anything is deployed."""
        s3.remove_folder(self._folder)
        self._metrics.start()

    def stop(self) -> None:
        """Stop every model server and the background threads; requests in flight get a moment to end."""
        with self._lock:
            self._stopped = True
            self._routes.clear()
            instances = list(self._instances)
        close_all(instances, SHUTDOWN_DRAIN_SECONDS, SHUTDOWN_GRACE_SECONDS)
        self._metrics.stop()
        if self._loop and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._connections.close)

    @contextlib.contextmanager
    def _operation(self, key: EndpointKey) -> Iterator[None]:
        with self._lock:
            operation = self._operations[key]
        with operation:
            yield

    def deploy(self, key: EndpointKey, variants: Sequence[VariantSpec]) -> None:
        """Create or replace an endpoint's fleets, blue/green; worker threads only.

        Returns when the new fleets serve and the old ones have answered their last requests and are gone.

        https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html

        :raises ContainerFailed: a new fleet did not become healthy; the old one goes on serving
        """
        with self._operation(key):
            folder = self._folder / key.region / key.account_id / key.name / uuid.uuid4().hex
            try:
                fleets = self._launch(key, variants, folder)
            except BaseException:
                s3.remove_folder(folder)
                raise
            self._replace(key, _Route(fleets))

    def _launch(self, key: EndpointKey, variants: Sequence[VariantSpec], folder: Path) -> tuple[Fleet, ...]:
        client = self._settings.client("s3", key.account_id, key.region)
        for variant in variants:
            algorithm(variant.image)
            model = folder / variant.name / "model"
            if variant.model_data_url:
                s3.download_model(client, variant.model_data_url, model)
            else:
                model.mkdir(parents=True)
        fleets = []
        for variant in variants:
            # The instances of a variant share the directory: model servers only read it.
            opt_ml = folder / variant.name
            fleets.append(Fleet(variant, opt_ml, self._new_instances(key, variant, opt_ml, variant.instance_count)))
        self._wait_ready([instance for fleet in fleets for instance in fleet.instances])
        return tuple(fleets)

    def _new_instances(self, key: EndpointKey, variant: VariantSpec, opt_ml: Path, count: int) -> list[Instance]:
        client = self._settings.client("logs", key.account_id, key.region)

        def new_log(stream: str) -> LogStream:
            return LogStream(client, f"/aws/sagemaker/Endpoints/{key.name}", stream)

        with self._lock:
            if self._stopped:
                raise ContainerFailed("The local AWS is stopping.")
            new = [Instance(self._compute, variant, opt_ml, new_log) for _ in range(count)]
            self._instances.update(new)
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

    def _replace(self, key: EndpointKey, new: _Route | None) -> None:
        """Switch the traffic, then drain and stop the instances that are in the old route alone."""
        with self._lock:
            old = self._routes.pop(key, None)
            if new:
                self._routes[key] = new
        kept = set(new.instances()) if new else set()
        folders = {fleet.opt_ml.parent for fleet in new.fleets} if new else set()
        if old:
            self._close([instance for instance in old.instances() if instance not in kept])
            for folder in {fleet.opt_ml.parent for fleet in old.fleets} - folders:
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
            self._replace(key, _Route(tuple(fleets)))

    def remove(self, key: EndpointKey) -> None:
        """Stop the endpoint's model servers after their requests in flight; worker threads only. Missing is fine."""
        with self._operation(key):
            self._replace(key, None)
            s3.remove_folder(self._folder / key.region / key.account_id / key.name)

    def running_instances(self, key: EndpointKey) -> dict[str, int]:
        """Return the number of healthy instances by variant; any thread."""
        route = self._routes.get(key)
        return {fleet.spec.name: fleet.healthy_count() for fleet in route.fleets} if route else {}

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
        for _ in range(_MAX_ROUTES_TRIED):
            route = self._routes.get(key)
            if route is None:
                return error("ValidationError", f"Endpoint {key.name} of account {key.account_id} not found.")
            fleet = route.choose(target_variant)
            if fleet is None:
                return error("ValidationError", f"Variant {target_variant} not found for endpoint {key.name}.")
            acquired = fleet.acquire()
            if acquired is None:
                continue
            instance, port = acquired
            sent = time.perf_counter()
            try:
                result, status = await ask_model(self._connections, key, fleet.spec.name, port, body, forwarded)
            except Unreachable:
                continue
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
            )
            return result
        return error("ServiceUnavailable", f"Endpoint {key.name} has no healthy instance for this request. Try again.")
