"""The metrics of endpoint invocations, put to CloudWatch each minute.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.compute.base import ComputeSettings, EndpointKey

_log = logging.getLogger(__name__)

NAMESPACE = "AWS/SageMaker"
_UNITS = {"ModelLatency": "Microseconds", "OverheadLatency": "Microseconds"}
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html: "up to 150 values per metric
# with one PutMetricData request".
MAX_VALUES = 150
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
_MAX_DATA = 1000
# Values closer than this may be put as one, if there are more than a datum allows.
_RESOLUTION = 0.01
# A minute's metrics are put this share of a minute after its end, when all its requests are counted.
_LATE = 0.02

# Endpoint, variant, endpoint configuration and the start of the minute.
_Minute = tuple[EndpointKey, str, str, float]


class _Collected:
    """A minute's invocations, as counts of values, so that counting one costs little."""

    def __init__(self) -> None:
        self.answers: defaultdict[tuple[int, int], int] = defaultdict(int)
        self.model_us: defaultdict[float, int] = defaultdict(int)
        self.overhead_us: defaultdict[float, int] = defaultdict(int)

    def metrics(self) -> dict[str, Mapping[float, int]]:
        """Return how often each value of each metric occurred."""
        found: defaultdict[str, Counter[float]] = defaultdict(Counter)
        for (status, instances), count in self.answers.items():
            values = {
                "Invocations": 1.0,
                # "1/numberOfInstances is sent as the value on each request"
                "InvocationsPerInstance": 1 / max(1, instances),
                "Invocation4XXErrors": float(400 <= status < 500),
                "Invocation5XXErrors": float(status >= 500),
                "InvocationModelErrors": float(not 200 <= status < 300),
            }
            for name, value in values.items():
                found[name][value] += count
        return {**found, "ModelLatency": self.model_us, "OverheadLatency": self.overhead_us}


class EndpointMetrics:
    """Counts the invocations of all endpoints; its own thread puts them each minute."""

    def __init__(self, settings: ComputeSettings) -> None:
        self._settings = settings
        # Guards _collected; `record` takes it on the event loop.
        self._lock = threading.Lock()
        self._collected: defaultdict[_Minute, _Collected] = defaultdict(_Collected)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._put_each_minute, name="endpoint-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Put the remaining metrics and end the thread."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
            self.put()

    def record(
        self,
        key: EndpointKey,
        variant: str,
        status: int,
        *,
        model_us: float,
        overhead_us: float,
        instances: int,
        config_name: str = "",
    ) -> None:
        """Count one invocation; any thread.

        :param status: HTTP status of the model's answer, 500 where there was none
        :param model_us: time between sending the request to the model and its answer, in microseconds
        :param overhead_us: all other time of the invocation, in microseconds
        :param instances: how many instances the variant has
        :param config_name: the endpoint configuration of the fleet that answered, if metrics are wanted by it
        """
        interval = self._settings.metrics_interval_seconds
        minute = math.floor(time.time() / interval) * interval
        with self._lock:
            collected = self._collected[key, variant, config_name, minute]
            collected.answers[status, instances] += 1
            collected.model_us[round(model_us)] += 1
            collected.overhead_us[round(overhead_us)] += 1

    def put(self, until: float = math.inf) -> None:
        """Put what was collected; worker threads only.

        :param until: epoch seconds; only of minutes that began before
        """
        with self._lock:
            ended = [minute for minute in self._collected if minute[-1] < until]
            collected = [(minute, self._collected.pop(minute)) for minute in ended]
        for (key, variant, config_name, minute), invocations in collected:
            metrics = invocations.metrics()
            dimensions = [{"Name": "EndpointName", "Value": key.name}, {"Name": "VariantName", "Value": variant}]
            # By configuration too, so that an alarm can watch the new fleet alone:
            # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
            of_fleet = [*dimensions, {"Name": "EndpointConfigName", "Value": config_name}]
            time_of_minute = datetime.fromtimestamp(minute, UTC)
            sets = (dimensions, of_fleet) if config_name else (dimensions,)
            data = [datum for one in sets for datum in _data(metrics, one, time_of_minute)]
            try:
                client = self._settings.client("cloudwatch", key.account_id, key.region)
                for start in range(0, len(data), _MAX_DATA):
                    client.put_metric_data(Namespace=NAMESPACE, MetricData=data[start : start + _MAX_DATA])
            except (ClientError, BotoCoreError) as error:
                _log.warning("metrics of endpoint %s lost: %s", key.name, error)

    def _put_each_minute(self) -> None:
        interval = self._settings.metrics_interval_seconds
        while not self._stopping.wait((interval * _LATE - time.time()) % interval):
            # The minute that has just begun waits: an alarm would take a part of it for the whole.
            self.put(math.floor(time.time() / interval) * interval)


def condensed(counts: Mapping[float, int]) -> dict[float, int]:
    """Reduce many values to few, so that CloudWatch's statistics stay correct.

    Up to the limit of a datum, values stay as they are. Beyond it, neighbours less than one per cent apart become their
    mean: sum, average, count, minimum and maximum stay the same, and percentiles change by one per cent at most.

    :param counts: how often each value occurred; none is negative
    :returns: the same for fewer values
    """
    if len(counts) <= MAX_VALUES:
        return dict(counts)
    ends = {min(counts), max(counts)}
    groups: defaultdict[tuple[bool, float], list[tuple[float, int]]] = defaultdict(list)
    for value, count in counts.items():
        place = value if value in ends or value < 1 else math.floor(math.log(value) / math.log1p(_RESOLUTION))
        groups[value in ends, place].append((value, count))
    merged: Counter[float] = Counter()
    for members in groups.values():
        total = sum(count for _, count in members)
        merged[sum(value * count for value, count in members) / total] += total
    return dict(merged)


def _data(
    metrics: Mapping[str, Mapping[float, int]], dimensions: list[dict[str, str]], minute: datetime
) -> Iterator[dict[str, Any]]:
    for name, counts in metrics.items():
        values = sorted(condensed(counts).items())
        for start in range(0, len(values), MAX_VALUES):
            part = values[start : start + MAX_VALUES]
            yield {
                "MetricName": name,
                "Dimensions": dimensions,
                "Timestamp": minute,
                "Unit": _UNITS.get(name, "None"),
                "Values": [float(value) for value, _ in part],
                "Counts": [float(count) for _, count in part],
            }
