"""Reads CloudWatch's alarms, dashboards and logs for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from local_aws.framework.store import Scope
from local_aws.metrics.history import AlarmHistory, Change, Wanted

PRIVATE_PARTS = {
    "ministack.services.cloudwatch": ("_alarms", "_composite_alarms", "_dashboards"),
    "ministack.services.cloudwatch_logs": ("_log_groups",),
}


class AlarmViews:
    """What the console shows of CloudWatch but for metrics; any thread may ask.

    :param modules: ministack's modules by name
    :param history: of alarms
    """

    def __init__(self, modules: Mapping[str, Any], history: AlarmHistory) -> None:
        self._history = history
        self._cloudwatch = modules["ministack.services.cloudwatch"]
        self._logs = modules["ministack.services.cloudwatch_logs"]

    def alarms(self, scope: Scope) -> list[Mapping[str, Any]]:
        """Return all alarms, metric and composite, by name."""
        stores = (self._cloudwatch._alarms, self._cloudwatch._composite_alarms)
        found = [alarm for store in stores for alarm in _of(store, scope)]
        return sorted(found, key=lambda alarm: str(alarm["AlarmName"]))

    def alarm(self, scope: Scope, name: str) -> Mapping[str, Any] | None:
        """Return an alarm by its name."""
        key = scope.account_id, scope.region, name
        found: Mapping[str, Any] | None = self._cloudwatch._alarms._data.get(key)
        return found or self._cloudwatch._composite_alarms._data.get(key)

    def history(self, scope: Scope, name: str, most: int) -> list[Change]:
        """Return the last changes of an alarm, the newest first."""
        return [change for _, change in self._history.page(scope, Wanted(alarm=name), most)]

    def dashboards(self, scope: Scope) -> list[Mapping[str, Any]]:
        """Return the dashboards, by name."""
        return sorted(_of(self._cloudwatch._dashboards, scope), key=lambda one: str(one["DashboardName"]))

    def dashboard(self, scope: Scope, name: str) -> Mapping[str, Any] | None:
        """Return a dashboard by its name."""
        found: Mapping[str, Any] | None = self._cloudwatch._dashboards._data.get((scope.account_id, scope.region, name))
        return found

    def log_streams(self, scope: Scope, group: str, prefix: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the streams of a log group whose names begin with a text, by name."""
        held = self._logs._log_groups._data.get((scope.account_id, scope.region, group)) or {"streams": {}}
        return sorted((name, stream) for name, stream in list(held["streams"].items()) if name.startswith(prefix))

    def log_events(self, scope: Scope, group: str, stream: str) -> Sequence[Mapping[str, Any]]:
        """Return the events of a log stream, the oldest first."""
        held = self._logs._log_groups._data.get((scope.account_id, scope.region, group)) or {"streams": {}}
        found: Sequence[Mapping[str, Any]] = held["streams"].get(stream, {"events": []})["events"]
        return found


def _of(store: Any, scope: Scope) -> list[Mapping[str, Any]]:
    wanted = (scope.account_id, scope.region)
    return [value for key, value in list(store._data.items()) if key[:2] == wanted]
