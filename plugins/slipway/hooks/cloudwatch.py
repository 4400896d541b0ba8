"""CloudWatch: what SageMaker measured of an endpoint's variants, and which alarms went off."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

from slipway.hooks.calls import aws_call
from slipway.hooks.patience import patient
from slipway.trial import VariantFigures

# https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
_NAMESPACE = "AWS/SageMaker"
_MINUTE_SECONDS = 60
# One datapoint holds a day at most; the figures of a longer time are put together from several.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html
_PERIOD_MAX_SECONDS = 86400
_MICROSECONDS_PER_MS = 1000.0
# Id of a query, metric, statistic.
_METRICS = (
    ("invocations", "Invocations", "Sum"),
    ("errors4xx", "Invocation4XXErrors", "Sum"),
    ("errors5xx", "Invocation5XXErrors", "Sum"),
    ("p50", "ModelLatency", "p50"),
    ("p99", "ModelLatency", "p99"),
)

_ALARM = "ALARM"


@dataclass(frozen=True)
class FiredAlarm:
    """An alarm that went off.

    :param reason: in CloudWatch's words
    """

    name: str
    at: datetime
    reason: str

    def __str__(self) -> str:
        return f"the alarm {self.name} went off at {self.at:%Y-%m-%dT%H:%M:%SZ} ({self.reason})"


def request(endpoint_name: str, variants: Iterable[str], began: float, ended: float) -> dict[str, Any]:
    """Write the request for some variants' figures.

    Metrics have a minute's resolution, so the minute in which the time began is part of it.

    :param endpoint_name: the endpoint
    :param variants: the variants' names
    :param began: seconds since the epoch
    :param ended: seconds since the epoch
    :returns: the parameters of GetMetricData
    """
    start = math.floor(began / _MINUTE_SECONDS) * _MINUTE_SECONDS
    # A minute that has not ended has been measured in part.
    end = max(math.ceil(ended / _MINUTE_SECONDS), start / _MINUTE_SECONDS + 1) * _MINUTE_SECONDS
    return {
        "StartTime": datetime.fromtimestamp(start, UTC),
        "EndTime": datetime.fromtimestamp(end, UTC),
        "MetricDataQueries": [
            {
                "Id": f"{name}_{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": _NAMESPACE,
                        "MetricName": metric,
                        "Dimensions": [
                            {"Name": "EndpointName", "Value": endpoint_name},
                            {"Name": "VariantName", "Value": variant},
                        ],
                    },
                    "Period": int(min(end - start, _PERIOD_MAX_SECONDS)),
                    "Stat": statistic,
                },
            }
            for number, variant in enumerate(variants)
            for name, metric, statistic in _METRICS
        ],
    }


def figures_of(answers: Iterable[Mapping[str, Any]], variants: Iterable[str]) -> dict[str, VariantFigures]:
    """Read the answers to ``request``.

    A time may come in several datapoints: counts add up, and of percentiles, which do not, the worst one stands.

    :param answers: the pages of GetMetricData
    :param variants: as in the request
    :returns: figures by variant
    """
    values: dict[str, list[float]] = {}
    for answer in answers:
        for result in answer["MetricDataResults"]:
            values.setdefault(result["Id"], []).extend(result["Values"])

    def total(name: str) -> int:
        return round(sum(values.get(name, ())))

    def worst_ms(name: str) -> float | None:
        found = values.get(name)
        return max(found) / _MICROSECONDS_PER_MS if found else None

    return {
        variant: VariantFigures(
            invocations=total(f"invocations_{number}"),
            errors=total(f"errors4xx_{number}") + total(f"errors5xx_{number}"),
            latency_p50_ms=worst_ms(f"p50_{number}"),
            latency_p99_ms=worst_ms(f"p99_{number}"),
        )
        for number, variant in enumerate(variants)
    }


class CloudWatchHook(AwsGenericHook[Any]):
    """The metrics of endpoint invocations, and the history of alarms, which outlives them.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "cloudwatch"
        super().__init__(*args, **kwargs)

    @patient
    def variant_figures(
        self, endpoint_name: str, variants: Iterable[str], began: float, ended: float
    ) -> dict[str, VariantFigures]:
        """Read what variants did in a span of time.

        :param endpoint_name: The endpoint's name.
        :param variants: The variants' names.
        :param began: Seconds since the epoch.
        :param ended: Seconds since the epoch.
        :returns: Figures by variant.
        :raises slipway.errors.AwsError: When the call fails.
        """
        names = list(variants)
        with aws_call("read the metrics of the endpoint", endpoint_name):
            pages = self.conn.get_paginator("get_metric_data").paginate(**request(endpoint_name, names, began, ended))
            return figures_of(pages, names)

    @patient
    def fired(self, names: Iterable[str], since: datetime) -> list[FiredAlarm]:
        """Find out which alarms went off.

        :param names: the alarms' names
        :param since: when to begin to look
        :returns: what went off, the first first
        :raises slipway.errors.AwsError: when a call fails
        """
        found = [alarm for name in names for alarm in self._fired(name, since)]
        return sorted(found, key=lambda alarm: alarm.at)

    def _fired(self, name: str, since: datetime) -> Iterator[FiredAlarm]:
        with aws_call("read the history of the alarm", name):
            pages = self.conn.get_paginator("describe_alarm_history").paginate(
                AlarmName=name, HistoryItemType="StateUpdate", StartDate=since
            )
            items = [item for page in pages for item in page["AlarmHistoryItems"]]
        for item in items:
            new = json.loads(item.get("HistoryData") or "{}").get("newState", {})
            if new.get("stateValue") == _ALARM:
                yield FiredAlarm(name, item["Timestamp"], new.get("stateReason", "no reason given"))


async def variant_figures_async(
    client: Any, endpoint_name: str, variants: Iterable[str], began: float, ended: float
) -> dict[str, VariantFigures]:
    """As CloudWatchHook.variant_figures, for a trigger.

    :param client: an aiobotocore CloudWatch client
    :returns: figures by variant
    :raises slipway.errors.AwsError: when the call fails
    """
    names, pages = list(variants), []
    with aws_call("read the metrics of the endpoint", endpoint_name):
        async for page in client.get_paginator("get_metric_data").paginate(
            **request(endpoint_name, names, began, ended)
        ):
            pages.append(page)
    return figures_of(pages, names)
