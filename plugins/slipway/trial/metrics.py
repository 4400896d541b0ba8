"""CloudWatch's metrics of the variants of a trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from slipway.aws.calls import aws_call
from slipway.aws.cloudwatch import NAMESPACE, CloudWatchHook, metric_query, next_whole_minute, whole_minutes
from slipway.trial.figures import VariantFigures

# A datapoint covers a day at most; a longer time has several.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html
_PERIOD_MAX_SECONDS = 86400
_MICROSECONDS_PER_MS = 1000.0
_NUMBER_LIMIT = 2.0**53
# Query id, metric, statistic.
_METRICS = (
    ("invocations", "Invocations", "Sum"),
    ("errors4xx", "Invocation4XXErrors", "Sum"),
    ("errors5xx", "Invocation5XXErrors", "Sum"),
    ("p50", "ModelLatency", "p50"),
    ("p99", "ModelLatency", "p99"),
)


def request(endpoint_name: str, variants: Iterable[str], began: float, ended: float) -> dict[str, Any]:
    """Write the request for the figures of some variants.

    Metrics have a resolution of a minute, so figures begin with the first whole minute: in the minute before, requests
    of ``test_prd``, or those at another share, are counted too.

    :param endpoint_name: the endpoint
    :param variants: the variants' names
    :param began: seconds since the epoch
    :param ended: seconds since the epoch
    :returns: the parameters of GetMetricData
    """
    start, end = whole_minutes(next_whole_minute(began), ended)
    period = int(min(end - start, _PERIOD_MAX_SECONDS))
    return {
        "StartTime": datetime.fromtimestamp(start, UTC),
        "EndTime": datetime.fromtimestamp(end, UTC),
        "MetricDataQueries": [
            metric_query(f"{name}_{number}", NAMESPACE, metric, statistic, endpoint_name, variant, period)
            for number, variant in enumerate(variants)
            for name, metric, statistic in _METRICS
        ],
    }


def figures_of(answers: Iterable[Mapping[str, Any]], variants: Iterable[str]) -> dict[str, VariantFigures]:
    """Read the answers to ``request``.

    A long time has several datapoints: counts are added, and the worst percentile is taken.

    :param answers: the pages of GetMetricData
    :param variants: as in the request
    :returns: figures by variant
    """
    values: dict[str, list[float]] = {}
    for answer in answers:
        for result in answer["MetricDataResults"]:
            # Neither NaN nor the infinities are below it, and what is not cannot be a count that is stored.
            found = [value for value in result["Values"] if abs(value) < _NUMBER_LIMIT]
            values.setdefault(result["Id"], []).extend(found)

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


class TrialMetrics:
    """The figures of variants, through CloudWatch.

    :param connection: the arguments of CloudWatchHook
    """

    def __init__(self, **connection: Any) -> None:
        self._cloudwatch = CloudWatchHook(**connection)

    def variant_figures(
        self, endpoint_name: str, variants: Iterable[str], began: float, ended: float
    ) -> dict[str, VariantFigures]:
        """Read what variants did in a span of time.

        :param endpoint_name: the endpoint
        :param variants: the variants' names
        :param began: seconds since the epoch
        :param ended: seconds since the epoch
        :returns: figures by variant
        :raises slipway.errors.AwsError: when the call fails
        """
        names = list(variants)
        asked = request(endpoint_name, names, began, ended)
        return figures_of(self._cloudwatch.metric_data(endpoint_name, asked), names)


async def variant_figures_async(
    client: Any, endpoint_name: str, variants: Iterable[str], began: float, ended: float
) -> dict[str, VariantFigures]:
    """Do the same as TrialMetrics.variant_figures, for a trigger.

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
