"""The history of CloudWatch alarms: which of them went off."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

from slipway.hooks.calls import aws_call
from slipway.hooks.patience import patient

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


class AlarmHistoryHook(AwsGenericHook[Any]):
    """The history of alarms, which CloudWatch keeps when an alarm is deleted.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "cloudwatch"
        super().__init__(*args, **kwargs)

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
