"""Records values and sends them: at once where a process is about to end, each minute in one that goes on.

Airflow's option ``[metrics] otel_on`` turns this on, and OpenTelemetry's variables say where to. Airflow's own Stats
are not used: they know no units, their timings are in milliseconds with buckets that Prometheus needs native
histograms for, and they send sums since the start of a process, of which each task has one.
https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/metrics.html
"""

from __future__ import annotations

import logging
import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf

from slipway.metrics.catalogue import Kind, Metric

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExporter

log = logging.getLogger(__name__)

# A task's process must not wait long for a collector that does not answer.
EXPORT_TIMEOUT_SECONDS = 2.0
_VARIABLES = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class _Process:
    """What belongs to one process: a fork has another exporter, or it would send its parent's values again."""

    provider: MeterProvider | None = None
    instruments: dict[str, Any] = {}
    recorded = False
    # The triggerer records in its event loop and in threads.
    making = threading.Lock()


def _forget() -> None:
    _Process.provider, _Process.instruments, _Process.recorded = None, {}, False
    _Process.making = threading.Lock()


os.register_at_fork(after_in_child=_forget)


@cache
def enabled() -> bool:
    """Tell whether values are recorded: Airflow's ``[metrics] otel_on``."""
    return bool(conf.getboolean("metrics", "otel_on", fallback=False))


def record(metric: Metric, value: float, **labels: str) -> None:
    """Record a value: add to a counter, set a gauge, or put it into a histogram.

    :param metric: one of the catalogue
    :param value: in the metric's unit
    :param labels: all labels of the metric, and no others
    """
    if not enabled():
        return
    if set(labels) != set(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}, not {tuple(labels)}")
    instrument = _instrument(metric)
    put = {Kind.COUNTER: "add", Kind.GAUGE: "set", Kind.HISTOGRAM: "record"}[metric.kind]
    getattr(instrument, put)(value, labels)
    _Process.recorded = True


def flush() -> None:
    """Send what was recorded; called where a process may end. A collector that does not answer fails no task."""
    if _Process.provider is None or not _Process.recorded:
        return
    _Process.recorded = False
    try:
        _Process.provider.force_flush(timeout_millis=EXPORT_TIMEOUT_SECONDS * 1000)
    except Exception as error:
        log.warning("The metrics of this task could not be sent: %s", error)


def load() -> None:
    """Import what records and sends, where metrics are on, so that processes forked from this one have it."""
    if enabled():
        _exporter_class()
        import opentelemetry.sdk.metrics.export
        import opentelemetry.sdk.resources  # noqa: F401


def _instrument(metric: Metric) -> Any:
    with _Process.making:
        if _Process.provider is None:
            _Process.provider = _new_provider()
        if metric.name not in _Process.instruments:
            meter = _Process.provider.get_meter("slipway")
            make = getattr(meter, f"create_{metric.kind}")
            more = {"explicit_bucket_boundaries_advisory": metric.buckets} if metric.kind is Kind.HISTOGRAM else {}
            _Process.instruments[metric.name] = make(metric.name, metric.unit, metric.description, **more)
        return _Process.instruments[metric.name]


def _new_provider() -> MeterProvider:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    # The same for every process: the collector adds up what they send, by resource and labels.
    resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME", "slipway")})
    # Not at exit: a process that a fork has left would send what its parent has not sent yet.
    return MeterProvider([PeriodicExportingMetricReader(_exporter())], resource, shutdown_on_exit=False)


def _exporter() -> MetricExporter:
    """Make the exporter; it sends what has come since the last time, because a process is short."""
    from opentelemetry.sdk import metrics
    from opentelemetry.sdk.metrics.export import AggregationTemporality

    temporality: dict[type, AggregationTemporality] = dict.fromkeys(
        (metrics.Counter, metrics.Histogram), AggregationTemporality.DELTA
    )
    given: dict[str, Any] = {"preferred_temporality": temporality, "timeout": EXPORT_TIMEOUT_SECONDS}
    if not any(map(os.environ.get, _VARIABLES)):
        # Airflow's older options, which the variables replace.
        scheme = "https" if conf.getboolean("metrics", "otel_ssl_active", fallback=False) else "http"
        host = conf.get("metrics", "otel_host", fallback="localhost")
        given["endpoint"] = f"{scheme}://{host}:{conf.get('metrics', 'otel_port', fallback='4318')}/v1/metrics"
    made: MetricExporter = _exporter_class()(**given)
    return made


def _exporter_class() -> Any:
    protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), "")
    if protocol == "grpc" and any(map(os.environ.get, _VARIABLES)):
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter

        return GrpcExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter
