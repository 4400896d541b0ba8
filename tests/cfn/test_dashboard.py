"""Monitoring of production: a dashboard of metrics that exist, and alarms that notify a topic."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from slipway.aws.links import DashboardLink
from slipway.errors import StackFailed
from slipway.model.config import ModelConfig
from slipway.names import dashboard_name
from tests.cfn.releases import DEV, PRD, Model
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.load import Load
from tests.local_aws.sagemaker_cases import ROWS, broken_model_data, model_data
from tests.local_aws.server import FROM_SERVICES, REGION, eventually

pytestmark = pytest.mark.local_aws

WAIT_SECONDS = 90
# Requests a second.
RATE = 20
# What AWS's lab shows of its stress test.
LAB = {("Invocations", "Sum"), ("InvocationsPerInstance", "Sum")} | {
    (metric, statistic) for metric in ("ModelLatency", "OverheadLatency") for statistic in ("Average", "p50", "p99")
}


@pytest.fixture
def aws(fast_aws, monkeypatch):
    """The account in which a minute lasts a second, as the hooks' AWS."""
    lead_hooks_to(fast_aws.endpoint_url, monkeypatch)
    return fast_aws


@pytest.fixture
def linked(monkeypatch):
    """The dashboards that tasks link to; here no Airflow stores them."""
    names = []
    monkeypatch.setattr(DashboardLink, "keep_for", lambda *_, dashboard_name: names.append(dashboard_name))
    return names


@pytest.fixture
def topic(aws):
    """A topic's ARN, and the messages so far: new states by alarm, in order."""
    sns, sqs = aws.client("sns"), aws.client("sqs")
    arn = sns.create_topic(Name="told-of-alarms")["TopicArn"]
    queue = sqs.create_queue(QueueName="told-of-alarms", Attributes=FROM_SERVICES)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
    told: dict[str, list[str]] = {}

    def look():
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            notice = json.loads(json.loads(message["Body"])["Message"])
            told.setdefault(notice["AlarmName"], []).append(notice["NewStateValue"])
        return told

    return arn, look


def with_alarms(aws, **alarms) -> Model:
    made = Model(aws)
    made.config = ModelConfig.model_validate(made.config.model_dump() | {"alarms": alarms})
    return made


def dashboards(aws) -> set[str]:
    return {entry["DashboardName"] for entry in aws.client("cloudwatch").list_dashboards()["DashboardEntries"]}


def metrics_of(body: dict, variant: str) -> list[tuple[str, str, str, list[dict]]]:
    """Namespace, metric, statistic and dimensions of everything that a dashboard shows of a variant."""
    found = []
    for widget in body["widgets"]:
        for row in widget["properties"]["metrics"]:
            names, options = row[:-1], row[-1]
            if names and names[5] == variant:
                assert (names[2], names[4]) == ("EndpointName", "VariantName")
                statistic = options.get("stat", widget["properties"]["stat"])
                dimensions = [{"Name": names[2], "Value": names[3]}, {"Name": names[4], "Value": names[5]}]
                found.append((names[0], names[1], statistic, dimensions))
    return found


def without_data(aws, metrics) -> set[tuple[str, str]]:
    """Metrics and statistics of which GetMetricData gives nothing at minutes."""
    queries = [
        {
            "Id": f"q{number}",
            "MetricStat": {
                "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions},
                "Period": 60,
                "Stat": statistic,
            },
        }
        for number, (namespace, metric, statistic, dimensions) in enumerate(metrics)
    ]
    now = datetime.now(UTC)
    results = aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=queries, StartTime=now - timedelta(minutes=5), EndTime=now + timedelta(minutes=1)
    )["MetricDataResults"]
    empty = {result["Id"] for result in results if not result["Values"]}
    return {(metric, stat) for number, (_, metric, stat, _) in enumerate(metrics) if f"q{number}" in empty}


def test_production_has_a_dashboard_of_metrics_that_come_back_and_alarms_that_tell(aws, topic, linked):
    arn, told = topic
    # No model answers within a microsecond.
    model = with_alarms(aws, latency_p99_ms=0.001, topic=arn)
    release = model.release(model_data(aws), ABTests=False, AutoScaling=None).approve()
    result = release.deploy(PRD)
    endpoint, stack = release.plan.endpoint(PRD), release.plan.stack(PRD)
    name = dashboard_name(endpoint, REGION)
    assert result["outputs"]["DashboardName"] == name
    assert set(linked) == {name}
    body = json.loads(aws.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])

    shown = metrics_of(body, "model-a")
    assert {(metric, statistic) for _, metric, statistic, _ in shown} > LAB
    assert len(metrics_of(body, "model-b")) == len(shown)
    assert {dimensions[0]["Value"] for *_, dimensions in shown} == {endpoint}
    assert {widget["properties"]["region"] for widget in body["widgets"]} == {REGION}
    with Load(aws, endpoint, ROWS[0], RATE):
        eventually(lambda: without_data(aws, shown), lambda empty: not empty, WAIT_SECONDS)
        (alarm,) = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"slipway-{endpoint}-")["MetricAlarms"]
        eventually(told, lambda states: "ALARM" in states.get(alarm["AlarmName"], ()), WAIT_SECONDS)
    eventually(told, lambda states: states[alarm["AlarmName"]][-1] == "OK", WAIT_SECONDS)

    assert release.deploy(PRD)["change"] == "unchanged"
    assert name in dashboards(aws)
    aws.client("cloudformation").delete_stack(StackName=stack)
    eventually(lambda: dashboards(aws), lambda left: name not in left, WAIT_SECONDS)


def test_development_has_none_and_a_release_that_fails_leaves_none(aws, linked):
    model = Model(aws)
    first = model.release(model_data(aws), ABTests=False, AutoScaling=None)
    assert "DashboardName" not in first.deploy(DEV)["outputs"]
    assert linked == []
    bad = model.release(broken_model_data(aws), ABTests=False, AutoScaling=None).approve()
    with pytest.raises(StackFailed, match="ROLLBACK_COMPLETE"):
        bad.deploy(PRD)
    assert not {name for name in dashboards(aws) if model.prefix in name}
    with pytest.raises(ClientError, match="does not exist"):
        aws.client("cloudwatch").get_dashboard(DashboardName=dashboard_name(bad.plan.endpoint(PRD), REGION))
