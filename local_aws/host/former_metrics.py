"""Takes over what ministack kept of metrics and of alarms' history among its alarms, in ``cloudwatch.json``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local_aws.framework.disk import DiskFull
from local_aws.framework.store import Scope
from local_aws.metrics.history import AlarmHistory, Change
from local_aws.metrics.points import Point, of_statistics, of_values
from local_aws.metrics.store import Metric, MetricStore

PRIVATE_PARTS = {"ministack.services.cloudwatch": ("_alarm_history", "_metrics", "_parse_ts", "load_persisted_state")}

_METRICS, _HISTORY = "metrics", "alarm_history"

_log = logging.getLogger(__name__)


def take_over(modules: Mapping[str, Any], store: MetricStore, history: AlarmHistory) -> None:
    """Move the metrics and the history that a state file still has, when ministack loads it.

    The next save writes the file without them. Until then each start finds them again, so only what is later than the
    last time is added.

    :param modules: ministack's modules by name
    :param store: the metrics
    :param history: of alarms
    """
    cloudwatch = modules["ministack.services.cloudwatch"]
    load = cloudwatch.load_persisted_state

    def loaded(data: dict[str, Any]) -> Any:
        metrics = list(_points(getattr(data.get(_METRICS), "_data", {})))
        changes = list(_changes(getattr(data.get(_HISTORY), "_data", {}), cloudwatch._parse_ts))

        def work() -> None:
            since = store.mark(_METRICS)
            store.put((metric, point) for metric, point in metrics if point.at > since)
            store.set_mark(_METRICS, max((point.at for _, point in metrics), default=since))
            since = store.mark(_HISTORY)
            history.put((scope, change) for scope, change in changes if change.at > since)
            store.set_mark(_HISTORY, max((change.at for _, change in changes), default=since))

        if metrics or changes:
            try:
                store.change(work)
            except DiskFull as full:
                _log.error("%s The metrics of an earlier version are taken over by a start with space.", full)
                return load(data)
            _log.info("The metrics of an earlier version were taken over")
        return load({name: value for name, value in data.items() if name not in (_METRICS, _HISTORY)})

    cloudwatch.load_persisted_state = loaded


def _changes(
    former: Mapping[tuple[str, str, Any], list[dict[str, Any]]], epoch: Callable[[Any], float | None]
) -> Iterator[tuple[Scope, Change]]:
    for (account, region, _), stored in former.items():
        for one in stored:
            kind, data = one.get("AlarmType", "MetricAlarm"), one.get("HistoryData", "")
            at = epoch(one["Timestamp"]) or 0.0
            yield (
                Scope(account, region),
                Change(one["AlarmName"], kind, at, one["HistoryItemType"], one["HistorySummary"], data),
            )


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
