"""TrialMetrics: one request for both variants, and what its answer adds up to."""

import math
from datetime import UTC, datetime

import pytest

from slipway.errors import AwsError
from slipway.trial.figures import VariantFigures
from slipway.trial.metrics import TrialMetrics, request
from tests.unit.aws.stubs import stubbed

BEGAN = datetime(2026, 5, 2, 8, 0, 30, tzinfo=UTC).timestamp()


@pytest.fixture
def metrics():
    return TrialMetrics(aws_conn_id=None, region_name="us-west-2")


def answer(**values: list[float]) -> dict:
    return {"MetricDataResults": [{"Id": key, "Values": found, "Timestamps": []} for key, found in values.items()]}


def test_whole_minutes_from_the_next_one_on_are_asked_for_in_one_datapoint():
    """In the minute in which a trial begins, CloudWatch counts the requests of test_prd too."""
    asked = request("iris-production", ["model-b"], BEGAN, BEGAN + 100)
    assert (asked["StartTime"].isoformat(), asked["EndTime"].isoformat()) == (
        "2026-05-02T08:01:00+00:00",
        "2026-05-02T08:03:00+00:00",
    )
    assert {query["MetricStat"]["Period"] for query in asked["MetricDataQueries"]} == {120}
    whole = request("iris-production", ["model-b"], BEGAN + 30, BEGAN + 100)
    assert whole["StartTime"] == asked["StartTime"]
    assert request("x", ["model-b"], BEGAN, BEGAN)["MetricDataQueries"][0]["MetricStat"]["Period"] == 60
    week = request("x", ["model-b"], BEGAN, BEGAN + 7 * 86400)
    assert {query["MetricStat"]["Period"] for query in week["MetricDataQueries"]} == {86400}


def test_figures_come_variant_by_variant(metrics):
    asked = request("iris-production", ["model-a", "model-b"], BEGAN, BEGAN + 100)
    found = answer(
        invocations_0=[90.0],
        errors4xx_0=[1.0],
        errors5xx_0=[2.0],
        p50_0=[8000.0],
        p99_0=[20000.0],
        invocations_1=[10.0],
    )
    stubbed(metrics._cloudwatch, "cloudwatch").add_response("get_metric_data", found, asked)
    assert metrics.variant_figures("iris-production", ["model-a", "model-b"], BEGAN, BEGAN + 100) == {
        "model-a": VariantFigures(90, 3, 8.0, 20.0),
        "model-b": VariantFigures(10),
    }


def test_counts_of_several_datapoints_add_up_and_the_worst_percentile_stands(metrics):
    stub = stubbed(metrics._cloudwatch, "cloudwatch")
    stub.add_response("get_metric_data", answer(invocations_0=[5.0], p99_0=[7000.0]) | {"NextToken": "t"})
    stub.add_response("get_metric_data", answer(invocations_0=[4.0], p99_0=[9000.0, 1000.0]))
    assert metrics.variant_figures("x", ["model-b"], BEGAN, BEGAN)["model-b"] == VariantFigures(9, latency_p99_ms=9.0)


def test_a_datapoint_that_is_no_number_counts_as_none(metrics):
    found = answer(invocations_0=[5.0, math.nan], p99_0=[math.nan, math.inf])
    stubbed(metrics._cloudwatch, "cloudwatch").add_response("get_metric_data", found)
    assert metrics.variant_figures("x", ["model-b"], BEGAN, BEGAN)["model-b"] == VariantFigures(5)


def test_errors_are_translated(metrics):
    stubbed(metrics._cloudwatch, "cloudwatch").add_client_error(
        "get_metric_data", "InternalServiceFault", http_status_code=500
    )
    with pytest.raises(AwsError, match="iris-production") as raised:
        metrics.variant_figures("iris-production", ["model-b"], BEGAN, BEGAN)
    assert raised.value.transient
