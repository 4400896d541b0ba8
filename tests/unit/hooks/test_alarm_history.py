"""AlarmHistoryHook: which alarms went off, from their history."""

import json
from datetime import UTC, datetime

import pytest

from slipway.errors import AwsError
from slipway.hooks.alarm_history import AlarmHistoryHook
from tests.unit.hooks.stubs import stubbed

SINCE = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def hook():
    return AlarmHistoryHook(aws_conn_id=None, region_name="us-west-2")


def item(minute: int, state: str, reason: str = "Threshold Crossed") -> dict:
    data = {"newState": {"stateValue": state, "stateReason": reason}}
    return {"Timestamp": datetime(2026, 1, 31, 12, minute, tzinfo=UTC), "HistoryData": json.dumps(data)}


def expected(name: str) -> dict:
    return {"AlarmName": name, "HistoryItemType": "StateUpdate", "StartDate": SINCE}


def test_only_what_went_off_is_told_the_first_first(hook):
    stub = stubbed(hook, "cloudwatch")
    stub.add_response("describe_alarm_history", {"AlarmHistoryItems": [item(9, "OK"), item(5, "ALARM")]}, expected("a"))
    stub.add_response("describe_alarm_history", {"AlarmHistoryItems": [item(3, "ALARM", "1.0 > 0.01")]}, expected("b"))
    assert [str(alarm) for alarm in hook.fired(["a", "b"], SINCE)] == [
        "the alarm b went off at 2026-01-31T12:03:00Z (1.0 > 0.01)",
        "the alarm a went off at 2026-01-31T12:05:00Z (Threshold Crossed)",
    ]


def test_a_history_without_data_is_no_alarm(hook):
    stubbed(hook, "cloudwatch").add_response(
        "describe_alarm_history", {"AlarmHistoryItems": [{"Timestamp": SINCE}]}, expected("a")
    )
    assert hook.fired(["a"], SINCE) == []


def test_a_refusal_names_the_alarm(hook):
    stubbed(hook, "cloudwatch").add_client_error("describe_alarm_history", "AccessDenied", "not allowed")
    with pytest.raises(AwsError, match=r"history of the alarm \(a\)"):
        hook.fired(["a"], SINCE)
