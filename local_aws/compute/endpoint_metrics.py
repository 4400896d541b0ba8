"""The metrics of endpoint invocations, put to CloudWatch each minute.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.compute.base import ComputeSettings, EndpointKey

_log = logging.getLogger(__name__)

NAMESPACE = "AWS/SageMaker"
_UNITS = {"ModelLatency": "Microseconds", "OverheadLatency": "Microseconds"}


@dataclass
class _Statistics:
    count: int = 0
    total: float = 0.0
    minimum: float = float("inf")
    maximum: float = float("-inf")

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)


class EndpointMetrics:
    """Collects the invocations of all endpoints and puts them each minute from a thread of its own."""

    def __init__(self, settings: ComputeSettings) -> None:
        self._settings = settings
        # Guards _collected, by endpoint, variant, minute and metric; `record` takes it on the event loop.
        self._lock = threading.Lock()
        self._collected: defaultdict[tuple[EndpointKey, str, datetime], defaultdict[str, _Statistics]]
        self._collected = defaultdict(lambda: defaultdict(_Statistics))
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._put_each_minute, name="endpoint-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Put what is left and end the thread."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
            self.put()

    def record(
        self, key: EndpointKey, variant: str, status: int, *, model_us: float, overhead_us: float, instances: int
    ) -> None:
        """Count one invocation; any thread.

        :param status: HTTP status of the model's answer, 500 where there was none
        :param model_us: time between sending the request to the model and its answer, in microseconds
        :param overhead_us: all other time of the invocation, in microseconds
        :param instances: how many instances the variant has
        """
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        values = {
            "Invocations": 1,
            "InvocationsPerInstance": 1 / max(1, instances),
            "Invocation4XXErrors": int(400 <= status < 500),
            "Invocation5XXErrors": int(status >= 500),
            "ModelLatency": model_us,
            "OverheadLatency": overhead_us,
        }
        with self._lock:
            statistics = self._collected[key, variant, minute]
            for name, value in values.items():
                statistics[name].add(value)

    def put(self) -> None:
        """Put everything that was collected since the last time; worker threads only."""
        with self._lock:
            collected = list(self._collected.items())
            self._collected.clear()
        for (key, variant, minute), statistics in collected:
            data = [_datum(name, value, key, variant, minute) for name, value in statistics.items()]
            try:
                client = self._settings.client("cloudwatch", key.account_id, key.region)
                client.put_metric_data(Namespace=NAMESPACE, MetricData=data)
            except (ClientError, BotoCoreError) as error:
                _log.warning("metrics of endpoint %s lost: %s", key.name, error)

    def _put_each_minute(self) -> None:
        while not self._stopping.wait(self._settings.metrics_interval_seconds):
            self.put()


def _datum(name: str, value: _Statistics, key: EndpointKey, variant: str, minute: datetime) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Dimensions": [{"Name": "EndpointName", "Value": key.name}, {"Name": "VariantName", "Value": variant}],
        "Timestamp": minute,
        "Unit": _UNITS.get(name, "None"),
        "StatisticValues": {
            "SampleCount": value.count,
            "Sum": value.total,
            "Minimum": value.minimum,
            "Maximum": value.maximum,
        },
    }
