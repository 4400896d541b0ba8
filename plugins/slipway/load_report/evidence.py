"""Read what AWS knows about a run: the endpoint, its metrics, its scaling and its alarms, as parts of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slipway.aws.patience import without_patience
from slipway.errors import AwsError

if TYPE_CHECKING:
    from slipway.aws.autoscaling import AutoScalingHook, ScalingActivity
    from slipway.aws.cloudwatch import CloudWatchHook, MetricSeries, WatchedAlarm
    from slipway.aws.sagemaker import SageMakerHook

PERIOD_SECONDS = 60


def collect(
    endpoint_name: str,
    began: datetime,
    ended: datetime,
    *,
    sagemaker: SageMakerHook,
    cloudwatch: CloudWatchHook,
    autoscaling: AutoScalingHook,
    model: str | None = None,
    environment: str | None = None,
) -> dict[str, Any]:
    """Read the parts of a report that AWS has.

    CloudWatch has a minute's metrics some time after it has ended, and target tracking scales in after many minutes.
    To have them in the report, wait first and pass a later end.

    :param endpoint_name: the endpoint
    :param began: when the run began, with a time zone
    :param ended: until when to look, with a time zone
    :param sagemaker: describes the endpoint
    :param cloudwatch: gives metrics and alarms
    :param autoscaling: gives scaling activities
    :param model: the model's prefix, for the page
    :param environment: development or production, for the page
    :returns: ``endpoint``, ``cloudwatch``, ``scaling_activities`` and ``alarms`` as far as they could be read, and
        ``missing``: the reason for each part that could not be read; all as ``page.render`` takes them
    """
    parts = _Parts()
    parts.read(
        "endpoint", lambda: _endpoint(endpoint_name, sagemaker.describe_endpoint(endpoint_name), model, environment)
    )
    if "endpoint" in parts.found:
        variants = [variant["name"] for variant in parts.found["endpoint"]["variants"]]
        span = began.timestamp(), ended.timestamp()
        parts.read("cloudwatch", lambda: _metrics(cloudwatch.series(endpoint_name, variants, *span)))
        parts.read(
            "scaling_activities",
            lambda: [_activity(one) for one in autoscaling.activities(endpoint_name, variants, began, ended)],
        )
    else:
        parts.missing |= dict.fromkeys(("cloudwatch", "scaling_activities"), "the endpoint's variants are unknown")
    parts.read("alarms", lambda: [_alarm(one) for one in cloudwatch.alarms(endpoint_name, began, ended)])
    return {**parts.found, "missing": parts.missing}


class _Parts:
    """Parts read one by one: one that cannot be read does not stop the others."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.missing: dict[str, str] = {}

    def read(self, part: str, ask: Callable[[], Any]) -> None:
        # One long wait for AWS is enough: after the first failure, the other parts are tried once.
        with without_patience() if self.missing else nullcontext():
            try:
                self.found[part] = ask()
            except AwsError as error:
                self.missing[part] = error.problem


def _endpoint(
    name: str, described: Mapping[str, Any] | None, model: str | None, environment: str | None
) -> dict[str, Any]:
    about = {"name": name, "model": model, "environment": environment}
    if described is None:
        return {**about, "status": "does not exist", "variants": []}
    return {
        **about,
        "status": described["EndpointStatus"],
        "configuration": described["EndpointConfigName"],
        "variants": [
            {
                "name": variant["VariantName"],
                "weight": variant.get("CurrentWeight"),
                "instances": variant.get("CurrentInstanceCount"),
                "desired_instances": variant.get("DesiredInstanceCount"),
            }
            for variant in described.get("ProductionVariants", [])
        ],
    }


def _metrics(series: Iterable[MetricSeries]) -> dict[str, Any]:
    return {"period_seconds": PERIOD_SECONDS, "series": [_series(one) for one in series]}


def _series(series: MetricSeries) -> dict[str, Any]:
    return {
        "metric": series.metric,
        "statistic": series.statistic,
        "variant": series.variant,
        "unit": series.unit,
        "timestamps": [_iso(at) for at in series.timestamps],
        "values": list(series.values),
    }


def _activity(activity: ScalingActivity) -> dict[str, Any]:
    return {
        "start": _iso(activity.began),
        "end": _iso(activity.ended) if activity.ended else None,
        "cause": activity.cause,
        "description": f"{activity.resource_id.rpartition('/')[2]}: {activity.description}",
        "status": activity.status,
    }


def _alarm(alarm: WatchedAlarm) -> dict[str, Any]:
    return {
        "name": alarm.name,
        "state": alarm.state,
        "history": [
            {"at": _iso(change.at), "from": change.before, "to": change.after, "reason": change.reason}
            for change in alarm.history
        ],
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
