"""CloudWatch's operations on metrics as clients of each protocol see them, and what a restart leaves of metrics."""

import json
import time
from datetime import UTC, datetime, timedelta

import botocore.model
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local_aws.server import ACCOUNT, REGION

pytestmark = pytest.mark.local_aws

DIMENSIONS = [{"Name": "EndpointName", "Value": "e <&> é"}, {"Name": "VariantName", "Value": "a"}]
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module", params=["json", "query"])
def cloudwatch(request, local_aws):
    """A client of one protocol of those that boto3 and the AWS CLI speak here, and a namespace of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.model, "PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (request.param,))
        client = local_aws.client("cloudwatch", config=Config(retries={"total_max_attempts": 1}))
    assert client.meta.service_model.resolved_protocol == request.param
    return client, f"Protocols/{request.param}"


def minute_ago(number):
    return datetime.now(UTC).replace(second=0, microsecond=0) - number * MINUTE


def put(client, namespace, *data):
    client.put_metric_data(Namespace=namespace, MetricData=[{"Dimensions": DIMENSIONS, **datum} for datum in data])


def query(namespace, name, statistic, **more):
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": DIMENSIONS}
    return {"Id": name.lower(), "MetricStat": {"Metric": metric, "Period": 60, "Stat": statistic, **more}}


def test_what_is_put_is_answered(cloudwatch):
    client, namespace = cloudwatch
    at = minute_ago(5)
    statistics = {"SampleCount": 4.0, "Sum": 10.0, "Minimum": 1.0, "Maximum": 5.0}
    put(
        client,
        namespace,
        {
            "MetricName": "Values",
            "Timestamp": at,
            "Unit": "Seconds",
            "Values": [1.0, 2.0, 9.0],
            "Counts": [1.0, 2.0, 1.0],
        },
        {"MetricName": "Values", "Timestamp": at + MINUTE / 2, "Unit": "Seconds", "Value": 0.0},
        {"MetricName": "Sets", "Timestamp": at, "StatisticValues": statistics},
    )
    span = {"StartTime": at, "EndTime": at + MINUTE, "Period": 60}
    names = ["SampleCount", "Sum", "Average", "Minimum", "Maximum"]
    of_values = {"Namespace": namespace, "MetricName": "Values", "Dimensions": DIMENSIONS[::-1], **span}
    answer = client.get_metric_statistics(**of_values, Statistics=names)
    (found,) = answer["Datapoints"]
    expected = {"SampleCount": 5, "Sum": 14, "Average": 2.8, "Minimum": 0, "Maximum": 9}
    assert (answer["Label"], found) == ("Values", {"Timestamp": at, "Unit": "Seconds", **expected})
    (found,) = client.get_metric_statistics(**of_values, ExtendedStatistics=["p50", "p99.9"])["Datapoints"]
    assert found["ExtendedStatistics"] == pytest.approx({"p50": 2.0, "p99.9": 8.972})
    assert client.get_metric_statistics(**of_values, Statistics=names, Unit="Count")["Datapoints"] == []
    (of_set,) = client.get_metric_data(
        MetricDataQueries=[query(namespace, "Sets", "Average")], StartTime=at, EndTime=at + MINUTE
    )["MetricDataResults"]
    assert (of_set["Id"], of_set["Timestamps"], of_set["Values"]) == ("sets", [at], [2.5])


def test_lists_have_pages_and_filters(cloudwatch):
    client, namespace = cloudwatch
    for number in range(0, 1010, 505):
        names = [f"n{one:04}" for one in range(number, number + 505)]
        put(client, f"{namespace}/List", *({"MetricName": name, "Value": 1.0} for name in names))
    pages = list(client.get_paginator("list_metrics").paginate(Namespace=f"{namespace}/List"))
    assert [len(page["Metrics"]) for page in pages] == [500, 500, 10]
    assert sorted(one["MetricName"] for page in pages for one in page["Metrics"]) == [f"n{n:04}" for n in range(1010)]
    (one,) = client.list_metrics(MetricName="n0007", Dimensions=DIMENSIONS[:1], RecentlyActive="PT3H")["Metrics"][:1]
    assert sorted(one["Dimensions"], key=str) == sorted(DIMENSIONS, key=str)
    assert client.list_metrics(Namespace=f"{namespace}/List", Dimensions=[{"Name": "Other"}])["Metrics"] == []
    # "Filter the results to show only metrics that have had data points published in the past three hours."
    put(client, f"{namespace}/Old", {"MetricName": "m", "Value": 1.0, "Timestamp": minute_ago(4 * 60)})
    assert len(client.list_metrics(Namespace=f"{namespace}/Old")["Metrics"]) == 1
    assert client.list_metrics(Namespace=f"{namespace}/Old", RecentlyActive="PT3H")["Metrics"] == []
    with pytest.raises(ClientError, match="Invalid NextToken"):
        client.list_metrics(NextToken="no token of ours")


@pytest.mark.parametrize("order", ["TimestampAscending", "TimestampDescending"])
def test_data_have_pages_from_either_end(cloudwatch, order):
    client, namespace = cloudwatch
    put(
        client,
        f"{namespace}/{order}",
        *({"MetricName": name, "Value": float(n), "Timestamp": minute_ago(n)} for name in "AB" for n in range(1, 8)),
    )
    asked = {
        "MetricDataQueries": [query(f"{namespace}/{order}", name, "Sum") for name in "AB"],
        "StartTime": minute_ago(60),
        "EndTime": minute_ago(0),
    }
    found = {"a": [], "b": []}
    sizes = []
    for page in client.get_paginator("get_metric_data").paginate(**asked, ScanBy=order, MaxDatapoints=5):
        sizes.append(sum(len(result["Values"]) for result in page["MetricDataResults"]))
        for result in page["MetricDataResults"]:
            found[result["Id"]] += zip(result["Timestamps"], result["Values"], strict=True)
    assert [size for size in sizes if size] == [5, 5, 4]
    whole = client.get_metric_data(**asked, ScanBy=order)["MetricDataResults"]
    assert {one["Id"]: [*zip(one["Timestamps"], one["Values"], strict=True)] for one in whole} == found
    assert [value for _, value in found["a"]] == sorted(range(1, 8), reverse=order == "TimestampAscending")
    # "If you omit this parameter, the default of TimestampDescending is used."
    assert client.get_metric_data(**asked)["MetricDataResults"][0]["Values"] == [float(n) for n in range(1, 8)]


def test_the_history_of_alarms_has_pages(cloudwatch):
    client, namespace = cloudwatch
    name = f"history <&> {namespace}"
    client.put_metric_alarm(
        AlarmName=name,
        Namespace=namespace,
        MetricName="none",
        Statistic="Sum",
        Period=86400,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    for state in ("ALARM", "OK", "ALARM"):
        client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="<tried>")
    pages = client.get_paginator("describe_alarm_history").paginate(
        AlarmName=name, ScanBy="TimestampAscending", PaginationConfig={"PageSize": 3}
    )
    sizes, items = zip(*((len(page["AlarmHistoryItems"]), page["AlarmHistoryItems"]) for page in pages), strict=True)
    assert sizes == (3, 1)
    ascending = [item for page in items for item in page]
    changes = ["INSUFFICIENT_DATA to INSUFFICIENT_DATA", "INSUFFICIENT_DATA to ALARM", "ALARM to OK", "OK to ALARM"]
    assert [one["HistorySummary"] for one in ascending] == [f"Alarm updated from {change}" for change in changes]
    assert json.loads(ascending[-1]["HistoryData"])["newState"]["stateReason"] == "<tried>"
    assert client.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"] == ascending[::-1]
    assert client.describe_alarm_history(AlarmName=name, AlarmTypes=["CompositeAlarm"])["AlarmHistoryItems"] == []
    assert client.describe_alarm_history(AlarmName=name, StartDate=minute_ago(-5))["AlarmHistoryItems"] == []
    client.delete_alarms(AlarmNames=[name])
    assert len(client.describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]) == 4


def test_metrics_outlive_a_kill_and_those_of_an_earlier_version_are_taken_over(new_local_aws):
    aws = new_local_aws()
    at = int(time.time()) // 60 * 60 - 600
    key = ("Earlier", "m", "EndpointName=e <&> é|VariantName=a")
    dimensions = {one["Name"]: one["Value"] for one in DIMENSIONS}
    common = {"Unit": "None", "Dimensions": dimensions}
    points = [
        {**common, "Timestamp": at, "Value": 3.0},
        {**common, "Timestamp": at + 1, "Value": 2.0, "Count": 2.0},
        {
            **common,
            "Timestamp": at + 2,
            "Value": 15.0,
            "_stat": {"SampleCount": 2.0, "Sum": 30.0, "Minimum": 10.0, "Maximum": 20.0},
            "_values": [10.0, 20.0],
            "_counts": [1.0, 1.0],
        },
    ]
    metrics = {"__account_region_scoped__": True, "data": {f"{ACCOUNT}\0{REGION}\0{key!r}": points}}
    folder = aws.state_dir / "ministack"
    folder.mkdir(parents=True)
    hour_ago = minute_ago(60)
    changed = {
        "AlarmName": "kept",
        "AlarmType": "MetricAlarm",
        "Timestamp": f"{hour_ago:%Y-%m-%dT%H:%M:%SZ}",
        "HistoryItemType": "StateUpdate",
        "HistorySummary": "Alarm updated from OK to ALARM",
        "HistoryData": "{}",
    }
    history = {"__account_region_scoped__": True, "data": {f"{ACCOUNT}\0{REGION}\0'entries'": [changed]}}
    (folder / "cloudwatch.json").write_text(json.dumps({"metrics": metrics, "alarm_history": history}))
    aws.start()
    span = {"StartTime": at, "EndTime": at + 60, "Period": 60}
    asked = {"Namespace": "Earlier", "MetricName": "m", "Dimensions": DIMENSIONS, **span}

    def look():
        answer = aws.client("cloudwatch").get_metric_statistics(**asked, Statistics=["SampleCount", "Sum"])
        extended = aws.client("cloudwatch").get_metric_statistics(**asked, ExtendedStatistics=["p100"])["Datapoints"]
        ((found,), (percentiles,)) = answer["Datapoints"], extended
        return found["SampleCount"], found["Sum"], percentiles["ExtendedStatistics"]["p100"]

    assert look() == (5, 37, 20)
    (item,) = aws.client("cloudwatch").describe_alarm_history(AlarmName="kept")["AlarmHistoryItems"]
    assert (item["HistorySummary"], item["Timestamp"]) == (changed["HistorySummary"], hour_ago)
    put(aws.client("cloudwatch"), "Earlier", {"MetricName": "m", "Value": 100.0, "Timestamp": at})
    aws.kill()
    aws.start()
    assert look() == (6, 137, 100)


def test_a_start_is_rounded_down(cloudwatch):
    # "Start time less than 15 days ago - Round down to the nearest whole minute."
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    client, namespace = cloudwatch
    at = minute_ago(5)
    put(
        client, namespace, *({"MetricName": "Early", "Value": 1.0, "Timestamp": at + MINUTE / 60 * n} for n in (10, 40))
    )
    for start, period, expected in ((30, 60, 2.0), (15, 10, 2.0), (25, 10, 1.0)):
        asked = [query(namespace, "Early", "Sum", Period=period)]
        (found,) = client.get_metric_data(
            MetricDataQueries=asked, StartTime=at + MINUTE / 60 * start, EndTime=at + MINUTE
        )["MetricDataResults"]
        assert sum(found["Values"]) == expected


def test_units_are_told_apart(cloudwatch):
    client, namespace = cloudwatch
    at = minute_ago(5)
    put(
        client,
        namespace,
        *(
            {"MetricName": "Units", "Timestamp": at, "Unit": unit, "Value": value}
            for unit, value in (("Seconds", 1.0), ("Bytes", 5.0), ("Bytes", 7.0))
        ),
    )
    asked = {"Namespace": namespace, "MetricName": "Units", "Dimensions": DIMENSIONS, "Period": 60}
    found = client.get_metric_statistics(**asked, StartTime=at, EndTime=at + MINUTE, Statistics=["Sum"])["Datapoints"]
    assert {one["Unit"]: one["Sum"] for one in found} == {"Seconds": 1.0, "Bytes": 12.0}
    found = client.get_metric_statistics(**asked, StartTime=at, EndTime=at + MINUTE, ExtendedStatistics=["p50"])
    assert {one["Unit"]: one["ExtendedStatistics"]["p50"] for one in found["Datapoints"]} == {"Seconds": 1, "Bytes": 6}


def test_data_of_entities_are_metrics_too(cloudwatch):
    client, namespace = cloudwatch
    entity = {"KeyAttributes": {"Type": "Service", "Name": "s", "Environment": "e"}}
    data = {"Entity": entity, "MetricData": [{"MetricName": "OfEntity", "Value": 1.0}]}
    client.put_metric_data(Namespace=f"{namespace}/Entities", EntityMetricData=[data])
    (listed,) = client.list_metrics(Namespace=f"{namespace}/Entities")["Metrics"]
    assert listed["MetricName"] == "OfEntity"


@pytest.mark.parametrize(
    "datum",
    [
        {"StatisticValues": {"SampleCount": float("nan"), "Sum": 1.0, "Minimum": 1.0, "Maximum": 1.0}},
        {"Values": [1.0, 2.0], "Counts": [float("nan"), 1.0]},
        {"Values": [1.0, 2.0], "Counts": [float("inf"), 1.0]},
    ],
)
def test_counts_are_numbers(cloudwatch, datum):
    client, namespace = cloudwatch
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        client.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "Counts", **datum}])
