"""Every metric of Slipway: its name, unit and labels, by the conventions of OpenTelemetry.

Labels have few values: models, tasks, AWS's operations and error codes; never a run, a revision or a version.
https://opentelemetry.io/docs/specs/semconv/general/metrics/
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of OpenTelemetry's instruments that are used."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric.

    :param name: OpenTelemetry's
    :param unit: by UCUM, or a number of things in braces
    :param description: what one value means
    :param labels: the names of its labels; all of them are given with each value
    :param buckets: the upper bounds of a histogram's buckets, in the unit
    """

    name: str
    kind: Kind
    unit: str
    description: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()

    @property
    def prometheus_name(self) -> str:
        """The name in Prometheus, as OpenTelemetry's collector and Prometheus itself translate it.

        https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
        """
        unit = "" if self.unit.startswith("{") else f"_{'seconds' if self.unit == 's' else self.unit}"
        return f"{self.name.replace('.', '_')}{unit}{'_total' if self.kind is Kind.COUNTER else ''}"


# A task takes seconds, a training hours, an approval days.
_DURATIONS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400, 259200, 604800)

RELEASE_DURATION = Metric(
    "slipway.release.duration",
    Kind.HISTOGRAM,
    "s",
    "From the start of a run to its end. outcome: released, rolled_back, superseded, rejected, failed.",
    ("model", "outcome"),
    _DURATIONS,
)
STAGE_DURATION = Metric(
    "slipway.stage.duration",
    Kind.HISTOGRAM,
    "s",
    "One attempt of a task of a release, with its waits. outcome: success, skipped, failed.",
    ("model", "stage", "outcome"),
    _DURATIONS,
)
STAGE_RETRIES = Metric(
    "slipway.stage.retries",
    Kind.COUNTER,
    "{attempt}",
    "Attempts of a task after its first one, by Airflow's retries and by people who cleared it.",
    ("model", "stage"),
)
APPROVAL_DURATION = Metric(
    "slipway.approval.duration",
    Kind.HISTOGRAM,
    "s",
    "From a question to its decision. decision: Approved, Rejected; for a trial promote, keep, retire.",
    ("model", "stage", "decision"),
    _DURATIONS,
)
AWS_REQUESTS = Metric(
    "slipway.aws.requests",
    Kind.COUNTER,
    "{request}",
    "Requests to AWS, those that botocore repeats too. outcome: ok, throttled, error; code: AWS's, or empty.",
    ("service", "operation", "outcome", "code"),
)
ORPHANED_JOBS = Metric(
    "slipway.orphaned_jobs",
    Kind.COUNTER,
    "{job}",
    "Training jobs and builds that nobody waited for any more, which a reaper has stopped. kind: training, build.",
    ("model", "kind"),
)
IMAGE_BUILDS = Metric(
    "slipway.image.builds",
    Kind.COUNTER,
    "{build}",
    "Runs that were to build an image, by their end. outcome: recorded, refused, failed.",
    ("model", "outcome"),
)
DRIFT_FINDINGS = Metric(
    "slipway.drift.findings",
    Kind.GAUGE,
    "{difference}",
    "What differs between a stack and what is live, at the last report.",
    ("model", "environment"),
)
LIVE_COST = Metric(
    "slipway.live.hourly_cost",
    Kind.GAUGE,
    "usd",
    "Estimated cost of the instances that serve a model, US dollars an hour, by the table of docs/costs.md.",
    ("model", "environment"),
)

METRICS = (
    RELEASE_DURATION,
    STAGE_DURATION,
    STAGE_RETRIES,
    APPROVAL_DURATION,
    AWS_REQUESTS,
    ORPHANED_JOBS,
    IMAGE_BUILDS,
    DRIFT_FINDINGS,
    LIVE_COST,
)
