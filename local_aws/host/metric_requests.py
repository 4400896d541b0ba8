"""CloudWatch's operations on metrics, which read and write the store of `local_aws.metrics` instead of ministack's.

ministack keeps every point in memory, writes all of them with each save, and goes through all of them for each request.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from local_aws.framework.store import Scope
from local_aws.host.cloudwatch_answers import CloudWatchAnswers, Document, token_of, written_token
from local_aws.host.cloudwatch_checks import data_of
from local_aws.metrics.points import Point, of_statistics, of_values
from local_aws.metrics.reading import Asked, datapoints, page
from local_aws.metrics.retention import available_since, resolution_at
from local_aws.metrics.store import Metric, MetricStore

PRIVATE_PARTS = {
    "ministack.services.cloudwatch": (
        "_get_metric_data",
        "_get_metric_statistics",
        "_list_metrics",
        "_parse_ts",
        "_put_metric_data",
    ),
}

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html
_MOST_METRICS = 500
_LISTED_SECONDS, _RECENTLY_SECONDS = 14 * 86400, 3 * 3600
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
_MOST_DATAPOINTS = 100_800


def serve_metrics(modules: Mapping[str, Any], answers: CloudWatchAnswers, store: MetricStore) -> None:
    """Let the store answer what is put and asked of metrics.

    :param modules: ministack's modules by name
    :param answers: writes the answers
    :param store: the metrics
    """
    cloudwatch = modules["ministack.services.cloudwatch"]
    operations = MetricOperations(store, cloudwatch._parse_ts)
    for name, operation, work in (
        ("_put_metric_data", "PutMetricData", operations.put_metric_data),
        ("_list_metrics", "ListMetrics", operations.list_metrics),
        ("_get_metric_statistics", "GetMetricStatistics", operations.get_metric_statistics),
        ("_get_metric_data", "GetMetricData", operations.get_metric_data),
    ):
        setattr(cloudwatch, name, answers.handler(operation, work))


class MetricOperations:
    """The operations; worker threads call them.

    :param store: the metrics
    :param epoch: reads a time of a request
    """

    def __init__(self, store: MetricStore, epoch: Callable[[Any], float | None]) -> None:
        self._store = store
        self._epoch = epoch

    def put_metric_data(self, scope: Scope, document: Document) -> Document:
        """Add what was put, all of it or none.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
        """
        now = time.time()
        self._store.add(
            (_metric(scope, {**datum, "Namespace": document["Namespace"]}), self._point(datum, now))
            for datum in data_of(document)
        )
        return {}

    def _point(self, datum: Document, now: float) -> Point:
        at = self._epoch(datum.get("Timestamp"))
        at = now if at is None else at
        unit = datum.get("Unit") or "None"
        if datum.get("Values"):
            return of_values(at, unit, [*map(float, datum["Values"])], [*map(float, datum.get("Counts") or [])])
        if datum.get("StatisticValues"):
            return of_statistics(at, unit, datum["StatisticValues"])
        return of_values(at, unit, [float(datum["Value"])])

    def list_metrics(self, scope: Scope, document: Document) -> Document:
        """List the metrics that have had data.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html
        """
        recently = document.get("RecentlyActive") == "PT3H"
        since = time.time() - (_RECENTLY_SECONDS if recently else _LISTED_SECONDS)
        wanted = document.get("Dimensions") or []
        after = int(token_of(document, 0)[0])
        found: list[Document] = []
        for number, metric in self._store.listed(
            scope, document.get("Namespace"), document.get("MetricName"), since, after
        ):
            named = dict(metric.dimensions)
            if not all(one["Name"] in named and one.get("Value") in (None, "", named[one["Name"]]) for one in wanted):
                continue
            if len(found) == _MOST_METRICS:
                return {"Metrics": found, "NextToken": written_token(after)}
            after = number
            dimensions = [{"Name": name, "Value": value} for name, value in metric.dimensions]
            found.append({"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": dimensions})
        return {"Metrics": found}

    def get_metric_statistics(self, scope: Scope, document: Document) -> Document:
        """Return the statistics of a metric.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
        """
        basic, extended = document.get("Statistics") or [], document.get("ExtendedStatistics") or []
        asked = self._asked(scope, document, document, document)
        points: list[Document] = []
        # "If you have two otherwise identical metrics that have different units, two separate data streams are
        # returned."
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Unit
        for one in datapoints(self._store, asked, [*basic, *extended], by_unit=True):
            point = {"Timestamp": one.start, "Unit": one.unit}
            point |= {name: one.statistics[name] for name in basic}
            percentiles = {name: one.statistics[name] for name in extended if name in one.statistics}
            points.append({**point, "ExtendedStatistics": percentiles} if percentiles else point)
        return {"Label": document["MetricName"], "Datapoints": points}

    def get_metric_data(self, scope: Scope, document: Document) -> Document:
        """Return the statistics of several metrics, a page at a time.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
        """
        descending = document.get("ScanBy") != "TimestampAscending"
        room = int(document.get("MaxDatapoints") or _MOST_DATAPOINTS)
        first, edge = token_of(document, 0, 0.0)
        results: list[Document] = []
        for place, query in enumerate(document.get("MetricDataQueries") or []):
            if place < first or (query.get("MetricStat") and query.get("ReturnData") is False):
                continue
            result = {"Id": query["Id"], "Label": query.get("Label", query["Id"])}
            results.append(result)
            if not query.get("MetricStat"):
                message = {"Code": "Unsupported", "Value": "Expressions not implemented"}
                result |= {"StatusCode": "InternalError", "Messages": [message], "Timestamps": [], "Values": []}
                continue
            stat = query["MetricStat"]
            limits = {"StartTime": document["StartTime"], "EndTime": document["EndTime"]}
            if place == first and edge:
                limits["EndTime" if descending else "StartTime"] = edge
            asked = self._asked(scope, stat["Metric"], stat, limits)
            found, more = page(self._store, asked, stat["Stat"], room, descending=descending)
            room -= len(found)
            result |= {"Timestamps": [at for at, _ in found], "Values": [value for _, value in found]}
            result["StatusCode"] = "PartialData" if more else "Complete"
            if more:
                last = found[-1][0] if found else (asked.end if descending else asked.start)
                edge = last if descending else last + (asked.period if found else 0)
                return {"MetricDataResults": results, "NextToken": written_token(place, float(edge))}
        return {"MetricDataResults": results}

    def _asked(self, scope: Scope, metric: Document, stat: Document, limits: Document) -> Asked:
        """Read which periods are asked for, those whose resolution is still there."""
        start, end = self._epoch(limits["StartTime"]), self._epoch(limits["EndTime"])
        assert start is not None  # noqa: S101 - the model requires both
        assert end is not None  # noqa: S101
        now, period = time.time(), int(stat["Period"])
        start = max(start, available_since(period, now))
        # "Start time less than 15 days ago - Round down to the nearest whole minute", before to coarser ones, and for
        # shorter periods "to even 5-, 10-, 20-, or 30-second divisions of a minute".
        resolution = max(min(period, 60), resolution_at(start, now) if period >= 60 else 1)
        start = math.floor(start / resolution) * resolution
        return Asked(_metric(scope, metric), start, end, period, stat.get("Unit"))


def _metric(scope: Scope, given: Document) -> Metric:
    dimensions = {one["Name"]: one.get("Value", "") for one in given.get("Dimensions") or []}
    return Metric.of(scope, given["Namespace"], given["MetricName"], dimensions)
