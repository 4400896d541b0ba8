"""CloudWatchHook: metrics minute by minute, and which alarms fired."""

import json
import math
from datetime import UTC, datetime, timedelta

import pytest

from slipway.aws.cloudwatch import CloudWatchHook, MetricSeries, series_request
from slipway.errors import AwsError
from tests.unit.aws.stubs import stubbed

SINCE = datetime(2026, 1, 31, 12, tzinfo=UTC)
BEGAN = datetime(2026, 5, 2, 8, 0, 30, tzinfo=UTC).timestamp()


@pytest.fixture
def hook():
    return CloudWatchHook(aws_conn_id=None, region_name="us-west-2")


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
        "the alarm b fired at 2026-01-31T12:03:00Z (1.0 > 0.01)",
        "the alarm a fired at 2026-01-31T12:05:00Z (Threshold Crossed)",
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


def test_series_are_asked_for_minute_by_minute_in_both_namespaces():
    asked = series_request("iris-production", ["model-a", "model-b"], BEGAN, BEGAN + 100)
    assert (asked["StartTime"].minute, asked["EndTime"].minute) == (0, 3)
    stats = [query["MetricStat"] for query in asked["MetricDataQueries"]]
    assert {stat["Period"] for stat in stats} == {60}
    found = {(stat["Metric"]["Namespace"], stat["Metric"]["MetricName"], stat["Stat"]) for stat in stats}
    assert {("AWS/SageMaker", "Invocations", "Sum"), ("/aws/sagemaker/Endpoints", "CPUUtilization", "Average")} < found
    for metric in ("ModelLatency", "OverheadLatency"):
        assert {("AWS/SageMaker", metric, stat) for stat in ("Average", "p50", "p99")} < found
    assert len({query["Id"] for query in asked["MetricDataQueries"]}) == len(stats) == 2 * len(found)


def test_series_come_in_the_order_of_time_and_without_what_is_empty(hook):
    asked = series_request("iris-production", ["model-a", "model-b"], BEGAN, BEGAN + 100)
    first, second = (datetime(2026, 5, 2, 8, minute, tzinfo=UTC) for minute in (0, 1))
    per_variant = len(asked["MetricDataQueries"]) // 2
    stub = stubbed(hook, "cloudwatch")

    def page(query, at, value):
        return {"MetricDataResults": [{"Id": query, "Timestamps": [at], "Values": [value]}]}

    stub.add_response("get_metric_data", page("q0", second, 7.0) | {"NextToken": "t"}, asked)
    stub.add_response("get_metric_data", page("q0", first, 5.0) | {"NextToken": "u"})
    stub.add_response("get_metric_data", page(f"q{per_variant}", first, 1.0) | {"NextToken": "v"})
    stub.add_response("get_metric_data", page(f"q{per_variant}", second, math.nan))
    assert hook.series("iris-production", ["model-a", "model-b"], BEGAN, BEGAN + 100) == [
        MetricSeries("Invocations", "Sum", "model-a", "None", (first, second), (5.0, 7.0)),
        MetricSeries("Invocations", "Sum", "model-b", "None", (first,), (1.0,)),
    ]


def test_without_variants_nothing_is_asked(hook):
    stubbed(hook, "cloudwatch")
    assert hook.series("iris-production", [], BEGAN, BEGAN + 100) == []


def alarm(name: str, endpoint: str) -> dict:
    return {"AlarmName": name, "StateValue": "OK", "Dimensions": [{"Name": "EndpointName", "Value": endpoint}]}


def test_alarms_are_the_endpoints_own_with_their_history(hook):
    stub = stubbed(hook, "cloudwatch")
    until = SINCE + timedelta(hours=1)
    ours, other = alarm("slipway-iris-c-5xx", "iris"), alarm("slipway-iris-production-c-5xx", "iris-production")
    tracked = alarm("TargetTracking-endpoint/iris/variant/model-a-AlarmHigh-1", "iris")
    for prefix, found in (("slipway-iris-", [ours, other]), ("TargetTracking-endpoint/iris/", [tracked])):
        asked = {"AlarmNamePrefix": prefix, "AlarmTypes": ["MetricAlarm"]}
        stub.add_response("describe_alarms", {"MetricAlarms": found}, asked)
    data = {"oldState": {"stateValue": "OK"}, "newState": {"stateValue": "ALARM", "stateReason": "2 > 1"}}
    change = {"Timestamp": SINCE, "HistoryData": json.dumps(data)}
    for name, items in ((ours["AlarmName"], [{"Timestamp": SINCE}]), (tracked["AlarmName"], [change])):
        asked = {**asked_of(name), "EndDate": until, "ScanBy": "TimestampAscending"}
        stub.add_response("describe_alarm_history", {"AlarmHistoryItems": items}, asked)
    first, second = hook.alarms("iris", SINCE, until)
    assert (first.name, first.history) == (ours["AlarmName"], ())
    assert [(one.at, one.before, one.after, one.reason) for one in second.history] == [(SINCE, "OK", "ALARM", "2 > 1")]
