"""The metrics that endpoints of a local AWS have put for some time, as it keeps them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from local_aws.compute import endpoint_metrics, utilization
from local_aws.framework.disk import Disk
from local_aws.framework.store import Scope
from local_aws.metrics.points import Point, of_values
from local_aws.metrics.retention import DAY_SECONDS, Retention
from local_aws.metrics.store import Metric, MetricStore
from tools.settings import ACCOUNT, REGION

NAMESPACE, INSTANCE_NAMESPACE = endpoint_metrics.NAMESPACE, utilization.NAMESPACE
_INVOCATIONS = (
    "Invocations",
    "InvocationsPerInstance",
    *(f"Invocation{kind}Errors" for kind in ("4XX", "5XX", "Model")),
)
_LATENCIES = ("ModelLatency", "OverheadLatency")
_INSTANCE = ("CPUUtilization", "MemoryUtilization", "DiskUtilization")


def metrics_of(endpoint: str) -> Iterator[Metric]:
    """Return all metrics of an endpoint with one variant."""
    dimensions = {"EndpointName": endpoint, "VariantName": "AllTraffic"}
    for space, names in ((NAMESPACE, _INVOCATIONS + _LATENCIES), (INSTANCE_NAMESPACE, _INSTANCE)):
        for name in names:
            yield Metric.of(Scope(ACCOUNT, REGION), space, name, dimensions)


def fill(state: Path, endpoints: int, seconds: int, now: int) -> None:
    """Put a point a minute of each metric for some time, and aggregate them as time goes by."""
    noise = random.Random(16)
    pools: dict[str, list[Point]] = {
        name: [of_values(0, "None", sorted(noise.randrange(900, 40_000) for _ in range(20))) for _ in range(300)]
        for name in _LATENCIES
    }
    few = [of_values(0, "None", [0.0, 1.0], [19.0, 1.0]), of_values(0, "None", [1.0], [20.0])]
    metrics = [metric for number in range(endpoints) for metric in metrics_of(f"endpoint-{number}")]
    state.mkdir(parents=True)
    store = MetricStore(state / "metrics.sqlite", Disk(state))
    for begin in range(now - seconds, now, min(seconds, DAY_SECONDS)):
        end = min(begin + DAY_SECONDS, now)
        minutes = range(begin, end, 60)
        for metric in metrics:
            pool = pools.get(metric.name, few)
            store.add((metric, replace(pool[noise.randrange(len(pool))], at=float(at))) for at in minutes)
        for _ in Retention(store).keep(end):
            pass
    store.close()
