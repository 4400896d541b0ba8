"""What CloudWatch Logs refuses or selects, and ministack does not.

Each check is one of ministack's gaps. tests/local_aws/host/test_ministack_gaps.py fails when a new ministack has closed
one, so that the check here can go.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

PRIVATE_PARTS = {
    "ministack.core.responses": ("error_response_json",),
    "ministack.services.cloudwatch_logs": (
        "_filter_log_events",
        "_log_groups",
        "_put_log_events",
        "_resolve_log_group_name",
    ),
}

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
_OLDEST_MS, _NEWEST_MS = 14 * 86400 * 1000, 2 * 3600 * 1000
_INVALID = "InvalidParameterException"


def check_requests(modules: Mapping[str, Any]) -> None:
    """Let Logs refuse events and streams as AWS does, and FilterLogEvents choose by prefix.

    :param modules: ministack's modules by name
    """
    _with_times(modules)
    _with_prefixes(modules)


def _with_times(modules: Mapping[str, Any]) -> None:
    """Let PutLogEvents refuse events out of order, and reject those that are too old or too new.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
    """
    logs = modules["ministack.services.cloudwatch_logs"]
    error = modules["ministack.core.responses"].error_response_json
    put = logs._put_log_events

    def checked(data: dict[str, Any]) -> Any:
        events = data.get("logEvents") or []
        times = [event["timestamp"] for event in events]
        if times != sorted(times):
            why = "Log events in a single PutLogEvents request must be in chronological order."
            return error(_INVALID, why, 400)
        now = time.time() * 1000
        old = sum(when < now - _OLDEST_MS for when in times)
        new = next((number for number, when in enumerate(times) if when > now + _NEWEST_MS), len(times))
        if not old and new == len(times):
            return put(data)
        status, headers, body = put({**data, "logEvents": events[old:new]})
        rejected = {"tooOldLogEventEndIndex": old} if old else {}
        rejected |= {"tooNewLogEventStartIndex": new} if new < len(times) else {}
        if status == 200:
            body = json.dumps({**json.loads(body), "rejectedLogEventsInfo": rejected}).encode()
        return status, headers, body

    logs._put_log_events = checked


def _with_prefixes(modules: Mapping[str, Any]) -> None:
    """Let FilterLogEvents read only the streams whose names begin with a text.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    """
    logs = modules["ministack.services.cloudwatch_logs"]
    error = modules["ministack.core.responses"].error_response_json
    filtered = logs._filter_log_events

    def chosen(data: dict[str, Any]) -> Any:
        prefix, wanted = data.get("logStreamNamePrefix"), data.get("logStreamNames") or []
        group = logs._log_groups.get(logs._resolve_log_group_name(data))
        if group is None:
            return filtered(data)
        if any(name not in group["streams"] for name in wanted):
            return error("ResourceNotFoundException", "The specified log stream does not exist.", 400)
        if prefix is None:
            return filtered(data)
        if wanted:
            why = "logStreamNames and logStreamNamePrefix cannot be specified together."
            return error(_INVALID, why, 400)
        names = [name for name in group["streams"] if name.startswith(prefix)]
        # ministack reads an empty list as all streams; no stream has an empty name.
        return filtered({**data, "logStreamNames": names or [""]})

    logs._filter_log_events = chosen
