"""CloudWatchHook: one request for both variants, what its answer adds up to, and which alarms went off."""

import json
from datetime import UTC, datetime

import pytest

from slipway.errors import AwsError
from slipway.hooks.cloudwatch import CloudWatchHook, request
from slipway.trial import VariantFigures
from tests.unit.hooks.stubs import stubbed

SINCE = datetime(2026, 1, 31, 12, tzinfo=UTC)
BEGAN = datetime(2026, 5, 2, 8, 0, 30, tzinfo=UTC).timestamp()


@pytest.fixture
def hook():
    return CloudWatchHook(aws_conn_id=None, region_name="us-west-2")


def answer(**values: list[float]) -> dict:
    return {"MetricDataResults": [{"Id": key, "Values": found, "Timestamps": []} for key, found in values.items()]}


def test_whole_minutes_are_asked_for_in_one_datapoint():
    asked = request("iris-production", ["model-b"], BEGAN, BEGAN + 100)
    assert (asked["StartTime"].isoformat(), asked["EndTime"].isoformat()) == (
        "2026-05-02T08:00:00+00:00",
        "2026-05-02T08:03:00+00:00",
    )
    assert {query["MetricStat"]["Period"] for query in asked["MetricDataQueries"]} == {180}
    assert request("x", ["model-b"], BEGAN, BEGAN)["MetricDataQueries"][0]["MetricStat"]["Period"] == 60
    week = request("x", ["model-b"], BEGAN, BEGAN + 7 * 86400)
    assert {query["MetricStat"]["Period"] for query in week["MetricDataQueries"]} == {86400}


def test_figures_come_variant_by_variant(hook):
    asked = request("iris-production", ["model-a", "model-b"], BEGAN, BEGAN + 100)
    found = answer(
        invocations_0=[90.0],
        errors4xx_0=[1.0],
        errors5xx_0=[2.0],
        p50_0=[8000.0],
        p99_0=[20000.0],
        invocations_1=[10.0],
    )
    stubbed(hook, "cloudwatch").add_response("get_metric_data", found, asked)
    assert hook.variant_figures("iris-production", ["model-a", "model-b"], BEGAN, BEGAN + 100) == {
        "model-a": VariantFigures(90, 3, 8.0, 20.0),
        "model-b": VariantFigures(10),
    }


def test_counts_of_several_datapoints_add_up_and_the_worst_percentile_stands(hook):
    stub = stubbed(hook, "cloudwatch")
    stub.add_response("get_metric_data", answer(invocations_0=[5.0], p99_0=[7000.0]) | {"NextToken": "t"})
    stub.add_response("get_metric_data", answer(invocations_0=[4.0], p99_0=[9000.0, 1000.0]))
    assert hook.variant_figures("x", ["model-b"], BEGAN, BEGAN)["model-b"] == VariantFigures(9, latency_p99_ms=9.0)


def test_errors_are_translated(hook):
    stubbed(hook, "cloudwatch").add_client_error("get_metric_data", "InternalServiceFault", http_status_code=500)
    with pytest.raises(AwsError, match="iris-production") as raised:
        hook.variant_figures("iris-production", ["model-b"], BEGAN, BEGAN)
    assert raised.value.transient


def item(minute: int, state: str, reason: str = "Threshold Crossed") -> dict:
    data = {"newState": {"stateValue": state, "stateReason": reason}}
    return {"Timestamp": datetime(2026, 1, 31, 12, minute, tzinfo=UTC), "HistoryData": json.dumps(data)}


def asked_of(name: str) -> dict:
    return {"AlarmName": name, "HistoryItemType": "StateUpdate", "StartDate": SINCE}


def test_only_what_went_off_is_told_the_first_first(hook):
    stub = stubbed(hook, "cloudwatch")
    stub.add_response("describe_alarm_history", {"AlarmHistoryItems": [item(9, "OK"), item(5, "ALARM")]}, asked_of("a"))
    stub.add_response("describe_alarm_history", {"AlarmHistoryItems": [item(3, "ALARM", "1.0 > 0.01")]}, asked_of("b"))
    assert [str(alarm) for alarm in hook.fired(["a", "b"], SINCE)] == [
        "the alarm b went off at 2026-01-31T12:03:00Z (1.0 > 0.01)",
        "the alarm a went off at 2026-01-31T12:05:00Z (Threshold Crossed)",
    ]


def test_a_history_without_data_is_no_alarm(hook):
    stubbed(hook, "cloudwatch").add_response(
        "describe_alarm_history", {"AlarmHistoryItems": [{"Timestamp": SINCE}]}, asked_of("a")
    )
    assert hook.fired(["a"], SINCE) == []


def test_a_refusal_names_the_alarm(hook):
    stubbed(hook, "cloudwatch").add_client_error("describe_alarm_history", "AccessDenied", "not allowed")
    with pytest.raises(AwsError, match=r"history of the alarm \(a\)"):
        hook.fired(["a"], SINCE)
