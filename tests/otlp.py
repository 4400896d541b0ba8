"""A receiver of OpenTelemetry's metrics that Prometheus can scrape: what the collector does, for tests.

Like the collector's deltatocumulative and its Prometheus exporter, it adds up what short processes send, and shows it
under Prometheus' names. https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from slipway.metrics.catalogue import METRICS, Kind, Metric

Labels = tuple[str, ...]
_KNOWN = {metric.name: metric for metric in METRICS}


@dataclass
class Series:
    """The sum of one series so far.

    :param buckets: observations by upper bound, not added up
    """

    value: float = 0.0
    count: int = 0
    buckets: list[int] = field(default_factory=list)


class Received:
    """All that has come, added up; also a collector of prometheus_client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[str, dict[Labels, Series]] = {}
        self.problems: list[str] = []
        self.requests = self.points = 0

    def take(self, request: ExportMetricsServiceRequest) -> None:
        """Add what one request says about Slipway's metrics; Airflow's own are passed over."""
        with self._lock:
            self.requests += 1
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name.startswith("slipway."):
                            self._add(metric)

    def _add(self, sent: Any) -> None:
        metric, what = _KNOWN.get(sent.name), sent.WhichOneof("data")
        wanted = {Kind.COUNTER: "sum", Kind.GAUGE: "gauge", Kind.HISTOGRAM: "histogram"}
        if metric is None or wanted[metric.kind] != what or sent.unit != metric.unit:
            self.problems.append(f"{sent.name} is no metric of the catalogue, or of another kind or unit")
            return
        data = getattr(sent, what)
        if metric.kind is not Kind.GAUGE and data.aggregation_temporality != AGGREGATION_TEMPORALITY_DELTA:
            self.problems.append(f"{sent.name} is no delta: the sums of two processes would replace each other")
        self.points += len(data.data_points)
        for point in data.data_points:
            self._add_point(metric, point)

    def _add_point(self, metric: Metric, point: Any) -> None:
        given = {one.key: one.value.string_value for one in point.attributes}
        labels = tuple(given[name] for name in metric.labels)
        series = self._series.setdefault(metric.name, {}).setdefault(labels, Series())
        if metric.kind is Kind.HISTOGRAM:
            if tuple(point.explicit_bounds) != metric.buckets:
                self.problems.append(f"{metric.name} has the buckets {point.explicit_bounds}")
            before = series.buckets or [0] * len(point.bucket_counts)
            series.buckets = [old + new for old, new in zip(before, point.bucket_counts, strict=True)]
            series.value, series.count = series.value + point.sum, series.count + point.count
        else:
            number = point.as_double if point.WhichOneof("value") == "as_double" else point.as_int
            series.value = number if metric.kind is Kind.GAUGE else series.value + number

    def values(self, metric: Metric) -> dict[Labels, float]:
        """The values of a metric by its labels; of a histogram how many there were."""
        with self._lock:
            found = self._series.get(metric.name, {})
            return {key: one.count if metric.kind is Kind.HISTOGRAM else one.value for key, one in found.items()}

    def collect(self) -> Iterator[Any]:
        """Give prometheus_client what there is."""
        with self._lock:
            for metric in METRICS:
                yield _family(metric, self._series.get(metric.name, {}))


def _family(metric: Metric, found: Mapping[Labels, Series]) -> Any:
    name, more = metric.prometheus_name, {"labels": list(metric.labels)}
    if metric.kind is Kind.HISTOGRAM:
        family: Any = HistogramMetricFamily(name, metric.description, **more)
        for labels, one in found.items():
            below, so_far = [], 0
            for bound, count in zip([*map(str, map(float, metric.buckets)), "+Inf"], one.buckets, strict=True):
                so_far += count
                below.append((bound, so_far))
            family.add_metric(labels, below, one.value)
        return family
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(name, metric.description, **more)
    for labels, one in found.items():
        family.add_metric(labels, one.value)
    return family


@contextmanager
def receiver(port: int = 0, host: str = "127.0.0.1") -> Iterator[tuple[Received, int]]:
    """Receive on a port of this machine until the block ends: POST /v1/metrics, GET /metrics."""
    received, registry = Received(), CollectorRegistry()
    registry.register(received)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/metrics":
                received.take(ExportMetricsServiceRequest.FromString(body))
            self._answer(b"", "application/x-protobuf")

        def do_GET(self) -> None:
            self._answer(generate_latest(registry), "text/plain; version=0.0.4")

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """A test's output is not the place for a line for each request."""

    server = ThreadingHTTPServer((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received, server.server_port
    finally:
        server.shutdown()
        server.server_close()
