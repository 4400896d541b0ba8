"""The utilization of endpoints' instances, put to CloudWatch each minute.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html, endpoint instance metrics
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.compute.base import ComputeSettings, EndpointKey
from local_aws.compute.usage import Usage

_log = logging.getLogger(__name__)

NAMESPACE = "/aws/sagemaker/Endpoints"
# A sample is taken this share of a minute before its end, so that it is there when alarms are evaluated.
_EARLY = 0.1


class Watched(Protocol):
    """An instance whose utilization is measured."""

    @property
    def closing(self) -> bool:
        """Whether it will never take requests again."""

    def usage(self) -> Usage | None:
        """Return what its container has used; None without one."""


class Utilization:
    """Measures the instances in its own thread.

    :param settings: where CloudWatch is, and how often metrics are put
    :param folder: on the disk that is measured
    """

    def __init__(self, settings: ComputeSettings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        # Guards _watched: each instance with its endpoint, variant and the last sample's time and CPU seconds.
        self._lock = threading.Lock()
        self._watched: dict[Watched, tuple[EndpointKey, str, float, float]] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._measure_each_minute, name="utilization", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread:
            self._thread.join()

    def watch(self, key: EndpointKey, variant: str, instances: Sequence[Watched]) -> None:
        """Measure some more instances, until they are closed; any thread."""
        with self._lock:
            self._watched |= {instance: (key, variant, time.monotonic(), 0.0) for instance in instances}

    def measure(self) -> None:
        """Put a sample of each instance; worker threads only."""
        with self._lock:
            self._watched = {instance: seen for instance, seen in self._watched.items() if not instance.closing}
            watched = list(self._watched.items())
        samples: defaultdict[tuple[EndpointKey, str], list[tuple[float, float]]] = defaultdict(list)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        for instance, (key, variant, then, cpu_before) in watched:
            usage, now = instance.usage(), time.monotonic()
            if usage is None:
                continue
            with self._lock:
                self._watched[instance] = key, variant, now, usage.cpu_seconds
            # A restarted container has used less than the one before.
            used = usage.cpu_seconds - cpu_before if usage.cpu_seconds >= cpu_before else usage.cpu_seconds
            samples[key, variant].append((100 * used / (now - then), 100 * usage.memory_bytes / memory))
        disk = shutil.disk_usage(self._folder)
        for (key, variant), values in samples.items():
            cpus, memories = zip(*values, strict=True)
            disks = [100 * disk.used / disk.total] * len(values)
            self._put(key, variant, {"CPUUtilization": cpus, "MemoryUtilization": memories, "DiskUtilization": disks})

    def _put(self, key: EndpointKey, variant: str, metrics: dict[str, Sequence[float]]) -> None:
        dimensions = [{"Name": "EndpointName", "Value": key.name}, {"Name": "VariantName", "Value": variant}]
        now = datetime.now(UTC)
        data: list[dict[str, Any]] = [
            {
                "MetricName": name,
                "Dimensions": dimensions,
                "Timestamp": now,
                "Unit": "Percent",
                "Values": [round(value, 3) for value in values],
            }
            for name, values in metrics.items()
        ]
        try:
            client = self._settings.client("cloudwatch", key.account_id, key.region)
            client.put_metric_data(Namespace=NAMESPACE, MetricData=data)
        except (ClientError, BotoCoreError) as error:
            _log.warning("utilization of endpoint %s lost: %s", key.name, error)

    def _measure_each_minute(self) -> None:
        interval = self._settings.metrics_interval_seconds
        while not self._stopping.wait(interval - (time.time() + _EARLY * interval) % interval):
            self.measure()
