"""The history of ministack's alarms, which `local_aws.metrics` keeps: ministack writes all of it with each save."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from local_aws.framework.disk import DiskFull
from local_aws.framework.store import Scope
from local_aws.host.cloudwatch_answers import CloudWatchAnswers, Document, RequestRefused, token_of, written_token
from local_aws.metrics.history import AlarmHistory, Change, Wanted

PRIVATE_PARTS = {
    "ministack.core.responses": ("get_account_id", "get_region"),
    "ministack.services.cloudwatch": ("_describe_alarm_history", "_max_records_error", "_parse_ts", "_record_history"),
}

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html
_RECORDS = 50

_log = logging.getLogger(__name__)


def keep_history(modules: Mapping[str, Any], answers: CloudWatchAnswers, history: AlarmHistory) -> None:
    """Let the history of alarms be written to and read from where it is kept.

    :param modules: ministack's modules by name
    :param answers: writes the answers
    :param history: the history
    """
    cloudwatch, responses = modules["ministack.services.cloudwatch"], modules["ministack.core.responses"]

    def recorded(
        alarm_name: str,
        old_state: str,
        new_state: str,
        reason: str,
        alarm_type: str = "MetricAlarm",
        reason_data: Any = None,
    ) -> None:
        new = {"stateValue": new_state, "stateReason": reason}
        data = {
            "version": "1.0",
            "oldState": {"stateValue": old_state},
            "newState": new if reason_data is None else {**new, "stateReasonData": reason_data},
        }
        summary = f"Alarm updated from {old_state} to {new_state}"
        scope = Scope(responses.get_account_id(), responses.get_region())
        try:
            # The times of CloudWatch's history have whole seconds here, as ministack's.
            at = int(time.time())
            history.add(scope, Change(alarm_name, alarm_type, at, "StateUpdate", summary, json.dumps(data)))
        except DiskFull as full:
            _log.error("%s A change of alarm %s is missing in its history.", full, alarm_name)

    def described(scope: Scope, document: Document) -> Document:
        """Answer DescribeAlarmHistory, a page at a time."""
        if invalid := cloudwatch._max_records_error(document.get("MaxRecords")):
            raise RequestRefused("ValidationError", invalid)
        most = int(document.get("MaxRecords") or _RECORDS)
        start = int(token_of(document, 0)[0])
        wanted = Wanted(
            document.get("AlarmName"),
            document.get("AlarmTypes") or ["MetricAlarm"],
            document.get("HistoryItemType"),
            cloudwatch._parse_ts(document.get("StartDate")),
            cloudwatch._parse_ts(document.get("EndDate")),
        )
        descending = document.get("ScanBy") != "TimestampAscending"
        found = history.page(scope, wanted, most + 1, descending=descending, start=start or None)
        answer: Document = {"AlarmHistoryItems": [_item(change) for _, change in found[:most]]}
        return {**answer, "NextToken": written_token(found[most][0])} if len(found) > most else answer

    cloudwatch._record_history = recorded
    cloudwatch._describe_alarm_history = answers.handler("DescribeAlarmHistory", described)


def _item(change: Change) -> Document:
    return {
        "AlarmName": change.alarm,
        "AlarmType": change.kind,
        "Timestamp": change.at,
        "HistoryItemType": change.item,
        "HistorySummary": change.summary,
        "HistoryData": change.data,
    }
