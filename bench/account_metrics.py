"""A year of an endpoint's metrics, offline, as CloudWatch has kept them: the older, the coarser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from local_aws.framework.disk import Disk
from local_aws.framework.store import Scope
from local_aws.metrics.points import of_values
from local_aws.metrics.retention import DAY_SECONDS, resolution_at
from local_aws.metrics.store import Metric, MetricStore
from tools.settings import ACCOUNT, REGION

# https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
_COUNTS = (
    "Invocations",
    "InvocationsPerInstance",
    "Invocation4XXErrors",
    "Invocation5XXErrors",
    "InvocationModelErrors",
)
_TIMES = ("ModelLatency", "OverheadLatency")
_SHARES = ("CPUUtilization", "MemoryUtilization", "DiskUtilization")
_FAMILIES = (
    ("AWS/SageMaker", _COUNTS, "None", (1.0, 2.0)),
    ("AWS/SageMaker", _TIMES, "Microseconds", (900.0, 1100.0, 4000.0)),
    ("/aws/sagemaker/Endpoints", _SHARES, "Percent", (10.0, 30.0)),
)


def put_a_year(state: Path, endpoint: str, variant: str, days: float) -> int:
    """Write what an endpoint that was asked all the time has left.

    :param state: the folder of a local AWS that has stopped
    :param endpoint: its name
    :param variant: its variant's name
    :param days: how much of a year
    :returns: how many points were written
    """
    store = MetricStore(state / "metrics.sqlite", Disk(state))
    dimensions = {"EndpointName": endpoint, "VariantName": variant}
    written, times = 0, list(moments(time.time(), days))
    for namespace, names, unit, values in _FAMILIES:
        for name in names:
            metric = Metric.of(Scope(ACCOUNT, REGION), namespace, name, dimensions)
            store.add((metric, of_values(at, unit, values)) for at in times)
            written += len(times)
    store.close()
    return written


def moments(now: float, days: float) -> Iterator[float]:
    """Return the times of the points, the oldest first."""
    at = now - days * DAY_SECONDS
    while at < now:
        # SageMaker puts one point a minute.
        resolution = max(60, resolution_at(at, now))
        at = (at // resolution + 1) * resolution
        yield at
