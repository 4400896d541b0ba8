"""The metrics of invocations: which values are put, and CloudWatch's statistics of them."""

import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from local_aws.compute.base import EndpointKey
from local_aws.compute.endpoint_metrics import MAX_VALUES, EndpointMetrics, condensed
from tests.local_aws.server import ACCOUNT, REGION
from tests.local_aws.signing import compute_settings


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[round(percent / 100 * (len(ordered) - 1))]


def test_few_values_stay_as_they_are():
    counts = Counter(range(MAX_VALUES))
    assert condensed(counts) == counts


def test_many_values_keep_their_statistics():
    drawn = random.Random(4)
    values = [round(drawn.lognormvariate(8.5, 0.7)) for _ in range(20_000)]
    kept = condensed(Counter(values))
    assert len(kept) < 1000 < len(set(values))
    assert sum(kept.values()) == len(values)
    assert sum(value * count for value, count in kept.items()) == pytest.approx(sum(values))
    assert (min(kept), max(kept)) == (min(values), max(values))
    back = list(Counter(kept).elements())
    for percent in (1, 50, 90, 99, 99.9):
        assert percentile(back, percent) == pytest.approx(percentile(values, percent), rel=0.01)


@pytest.mark.local_aws
@pytest.mark.parametrize("interval_seconds", [60.0, 1.0, 0.1], ids=["as on AWS", "60 times as fast", "600 times"])
def test_statistics_of_cloudwatch(local_aws, interval_seconds):
    """At each time scale every statistic of the API is correct, in both operations."""
    name = f"metrics-{interval_seconds}"
    metrics = EndpointMetrics(
        compute_settings(local_aws, local_aws.state_dir, metrics_interval_seconds=interval_seconds)
    )
    key = EndpointKey(ACCOUNT, REGION, name)
    while time.time() % 60 > 45:
        time.sleep(0.2)
    latencies = [1000 + 7 * n for n in range(1000)]
    for latency in latencies:
        metrics.record(key, "a", 200, model_us=latency, overhead_us=1, instances=4)
    metrics.put()

    found = one_minute(local_aws, name, "ModelLatency")
    exact = {"Sum": sum(latencies), "Average": sum(latencies) / 1000, "SampleCount": 1000}
    assert {member: found[member] for member in exact} == pytest.approx(exact)
    assert (found["Minimum"], found["Maximum"]) == (latencies[0], latencies[-1])
    for percent in (50, 90, 99):
        right = pytest.approx(percentile(latencies, percent), rel=0.01)
        assert found["ExtendedStatistics"][f"p{percent}"] == right
        assert queried(local_aws, name, "ModelLatency", f"p{percent}") == right
    assert queried(local_aws, name, "ModelLatency", "Average") == pytest.approx(exact["Average"])
    assert queried(local_aws, name, "InvocationsPerInstance", "Sum") == 250
    assert queried(local_aws, name, "Invocation5XXErrors", "Average") == 0


@pytest.mark.local_aws
def test_a_minute_is_seen_whole_or_not_at_all(local_aws):
    """An alarm would take a part of a minute for the whole."""
    name = "metrics-whole"
    settings = compute_settings(local_aws, local_aws.state_dir, metrics_interval_seconds=1.0)
    metrics, key, seen, ended = EndpointMetrics(settings), EndpointKey(ACCOUNT, REGION, name), {}, threading.Event()

    def record():
        while not ended.wait(0.001):
            metrics.record(key, "a", 200, model_us=1, overhead_us=1, instances=1)

    metrics.start()
    recorder = threading.Thread(target=record)
    recorder.start()
    try:
        while len(seen) < 4:
            found = local_aws.client("cloudwatch").get_metric_statistics(
                **metric(name, "Invocations"), **last_minutes(), Period=1, Statistics=["Sum"]
            )
            for point in found["Datapoints"]:
                assert seen.setdefault(point["Timestamp"], point["Sum"]) == point["Sum"]
    finally:
        ended.set()
        recorder.join()
        metrics.stop()


@pytest.mark.local_aws
def test_the_fleets_of_a_deployment_are_told_apart(local_aws):
    name = "metrics-fleets"
    metrics = EndpointMetrics(compute_settings(local_aws, local_aws.state_dir))
    key = EndpointKey(ACCOUNT, REGION, name)
    for config, status in (("old", 200), ("old", 200), ("old", 400), ("new", 500)):
        metrics.record(key, "a", status, model_us=1, overhead_us=1, instances=1, config_name=config)
    metrics.put()
    errors = "InvocationModelErrors"
    found = {config: queried(local_aws, name, errors, "Average", config) for config in ("old", "new", None)}
    assert found == pytest.approx({"old": 1 / 3, "new": 1.0, None: 0.5})
    assert queried(local_aws, name, "Invocation5XXErrors", "Sum", "new") == 1
    assert queried(local_aws, name, "Invocation4XXErrors", "Sum", "old") == 1


def metric(endpoint, name, config=None):
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "a"}]
    if config:
        dimensions.append({"Name": "EndpointConfigName", "Value": config})
    return {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": dimensions}


def last_minutes():
    now = datetime.now(UTC)
    return {"StartTime": now - timedelta(minutes=2), "EndTime": now + timedelta(minutes=1)}


def one_minute(aws, endpoint, name):
    cloudwatch = aws.client("cloudwatch")
    common = {**metric(endpoint, name), **last_minutes(), "Period": 60}
    basic = ["Sum", "Average", "SampleCount", "Minimum", "Maximum"]
    (found,) = cloudwatch.get_metric_statistics(**common, Statistics=basic)["Datapoints"]
    (extended,) = cloudwatch.get_metric_statistics(**common, ExtendedStatistics=["p50", "p90", "p99"])["Datapoints"]
    return {**found, **extended}


def queried(aws, endpoint, name, statistic, config=None):
    query = {"Id": "q", "MetricStat": {"Metric": metric(endpoint, name, config), "Period": 60, "Stat": statistic}}
    (result,) = aws.client("cloudwatch").get_metric_data(MetricDataQueries=[query], **last_minutes())[
        "MetricDataResults"
    ]
    (value,) = result["Values"]
    return value
