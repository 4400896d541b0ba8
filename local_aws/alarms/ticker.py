"""Evaluates every alarm each period, and starts its actions.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

import asyncio
import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from local_aws.alarms.actions import actions_of
from local_aws.alarms.evaluation import COMPARISONS, Datapoint, Rule, reason, reason_data, state_of, windows
from local_aws.framework.service_parts import AlarmAction
from local_aws.framework.store import Scope
from local_aws.settings import Clock

Alarm = Mapping[str, Any]

# "For alarms with a period of 10, 20 or 30 seconds the alarm is evaluated every 10 seconds", all others every minute.
_MINUTE_SECONDS = 60
_HIGH_RESOLUTION_SECONDS = 10
# Metrics are put a little after their period ends, so an alarm is evaluated when they should be there.
_LAG = 0.25
_LEAST_LAG_SECONDS = 0.1
_LONGEST_SLEEP_SECONDS = 1.0

_log = logging.getLogger(__name__)


class AlarmHost(Protocol):
    """What keeps alarms and metrics; used on the event loop's thread only."""

    def metric_alarms(self) -> list[tuple[Scope, Alarm]]:
        """Return the metric alarms of all accounts and regions."""

    def statistics(self, scope: Scope, alarm: Alarm, periods: Sequence[tuple[float, float]]) -> list[float | None]:
        """Return the alarm's statistic for each of some periods, None for one without data."""

    def change_state(self, scope: Scope, name: str, state: str, why: str, data: str) -> None:
        """Put an alarm into another state, with its history and its actions."""


class AlarmTicker:
    """Evaluates alarms until it is cancelled.

    :param host: keeps them
    :param clock: how fast periods pass
    :param scaling_action: performs an action of Auto Scaling
    """

    def __init__(self, host: AlarmHost, clock: Clock, scaling_action: AlarmAction) -> None:
        self._host = host
        self._clock = clock
        self._scaling_action = scaling_action
        # By account, region and name: the minute in which an alarm was evaluated last.
        self._evaluated: dict[tuple[Scope, str], int] = {}

    async def run(self) -> None:
        """Evaluate what is due, repeatedly."""
        pause = min(self._clock.real_seconds(_HIGH_RESOLUTION_SECONDS) / 2, _LONGEST_SLEEP_SECONDS)
        while True:
            await asyncio.sleep(pause)
            self.tick(time.time())

    def tick(self, now: float) -> None:
        """Evaluate what is due.

        :param now: epoch seconds
        """
        alarms = self._host.metric_alarms()
        for scope, alarm in alarms:
            try:
                self._look_at(scope, alarm, now)
            except Exception:
                _log.exception("The evaluation of alarm %s failed", alarm["AlarmName"])
        known = {(scope, alarm["AlarmName"]) for scope, alarm in alarms}
        self._evaluated = {key: slot for key, slot in self._evaluated.items() if key in known}

    def _look_at(self, scope: Scope, alarm: Alarm, now: float) -> None:
        if not alarm.get("MetricName") or alarm.get("ComparisonOperator") not in COMPARISONS:
            # An alarm on metric math or anomaly detection, which the host does not calculate.
            return
        every = _MINUTE_SECONDS if alarm["Period"] >= _MINUTE_SECONDS else _HIGH_RESOLUTION_SECONDS
        interval = self._clock.real_seconds(every)
        slot = math.floor((now - max(interval * _LAG, _LEAST_LAG_SECONDS)) / interval)
        key = scope, alarm["AlarmName"]
        if self._evaluated.get(key) != slot:
            self._evaluated[key] = slot
            self._evaluate(scope, alarm, slot * interval, now)

    def _evaluate(self, scope: Scope, alarm: Alarm, end: float, now: float) -> None:
        rule = Rule.of(alarm)
        periods = windows(end, self._clock.real_seconds(alarm["Period"]), rule.range)
        values = self._host.statistics(scope, alarm, periods)
        points = [
            Datapoint(start, value) for (start, _), value in zip(periods, values, strict=True) if value is not None
        ]
        old = alarm["StateValue"]
        new = state_of(rule, values, old)
        data = reason_data(alarm, points, now)
        if new != old:
            self._host.change_state(scope, alarm["AlarmName"], new, reason(rule, points, old, new), data)
        # "If the alarm invokes an Auto Scaling action, it goes on to do so once per minute that it stays in its state."
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions.html
        for arn in actions_of(alarm, new, "autoscaling"):
            self._scaling_action(scope, arn, {**alarm, "StateValue": new, "StateReasonData": data})
