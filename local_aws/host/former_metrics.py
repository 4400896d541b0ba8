"""Takes over the metrics of earlier versions, which ministack kept among its alarms in ``cloudwatch.json``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from local_aws.framework.disk import DiskFull
from local_aws.framework.store import Scope
from local_aws.metrics.points import Point, of_statistics, of_values
from local_aws.metrics.store import Metric, MetricStore

PRIVATE_PARTS = {"ministack.services.cloudwatch": ("_metrics", "load_persisted_state")}

_MARK = "taken over from cloudwatch.json"

_log = logging.getLogger(__name__)


def take_over(modules: Mapping[str, Any], store: MetricStore) -> None:
    """Move the metrics that a state file still has into the store, when ministack loads it.

    The next save writes the file without them. Until then each start finds them again, so only points later than those
    of the last time are added.

    :param modules: ministack's modules by name
    :param store: the metrics
    """
    cloudwatch = modules["ministack.services.cloudwatch"]
    load = cloudwatch.load_persisted_state

    def loaded(data: dict[str, Any]) -> Any:
        kept = dict(data)
        if former := getattr(kept.get("metrics"), "_data", {}):
            try:
                _add(store, former)
            except DiskFull as full:
                _log.error("%s The metrics of an earlier version are taken over by a start with space.", full)
                return load(kept)
            _log.info("The metrics of an earlier version were taken over")
        kept.pop("metrics", None)
        return load(kept)

    cloudwatch.load_persisted_state = loaded


def _add(store: MetricStore, former: Mapping[tuple[str, str, Any], list[dict[str, Any]]]) -> None:
    def work() -> None:
        since = store.mark(_MARK)
        store.put((metric, point) for metric, point in _points(former) if point.at > since)
        store.set_mark(_MARK, max((point.at for _, point in _points(former)), default=since))

    store.change(work)


def _points(former: Mapping[tuple[str, str, Any], list[dict[str, Any]]]) -> Iterator[tuple[Metric, Point]]:
    for (account, region, (namespace, name, _)), stored in former.items():
        for one in stored:
            yield Metric.of(Scope(account, region), namespace, name, one["Dimensions"]), _point(one)


def _point(stored: dict[str, Any]) -> Point:
    at, unit = float(stored["Timestamp"]), stored["Unit"]
    if "_values" in stored:
        return of_values(at, unit, stored["_values"], stored["_counts"])
    if "_stat" in stored:
        return of_statistics(at, unit, stored["_stat"])
    return of_values(at, unit, [stored["Value"]], [stored.get("Count", 1.0)])
