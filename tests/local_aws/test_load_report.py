"""A report of a real load on an endpoint that scales; AWS's minutes take a second."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from slipway.aws.autoscaling import AutoScalingHook
from slipway.aws.cloudwatch import CloudWatchHook
from slipway.aws.sagemaker import SageMakerHook
from slipway.load.engine import Engine
from slipway.load.phases import Arrivals
from slipway.load.plan import Plan
from slipway.load.rows import parse_row
from slipway.load_report.evidence import collect
from slipway.load_report.page import render
from tests.local_aws import sagemaker_cases as cases
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.server import eventually
from tests.local_aws.test_load import Access

pytestmark = pytest.mark.local_aws

RATE, SECONDS = 20, 8
INVOCATIONS = ("Invocations", "Sum")
LATENCIES = {(metric, stat) for metric in ("ModelLatency", "OverheadLatency") for stat in ("Average", "p50", "p99")}


@pytest.fixture
def endpoint(fast_aws, monkeypatch):
    """An endpoint with one variant and room to scale, reached by the hooks."""
    lead_hooks_to(fast_aws.endpoint_url, monkeypatch)
    sagemaker, scaling = fast_aws.client("sagemaker"), fast_aws.client("application-autoscaling")
    model = cases.create_model(fast_aws, cases.model_data(fast_aws))
    name, config = cases.unique("reported"), cases.create_config(fast_aws, cases.variant(model))
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert cases.wait_for_endpoint(fast_aws, name)["EndpointStatus"] == "InService"
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/model-a",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    scaling.put_scaling_policy(
        **target,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": RATE / 4,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        },
    )
    yield name
    cases.wait_for_endpoint(fast_aws, name)
    sagemaker.delete_endpoint(EndpointName=name)


def counted(evidence) -> float:
    series = evidence["cloudwatch"]["series"]
    return sum(sum(one["values"]) for one in series if (one["metric"], one["statistic"]) == INVOCATIONS)


def test_what_the_sender_counts_is_what_aws_saw(fast_aws, endpoint):
    rows = [parse_row(line, "rows.csv") for line in cases.csv(seed=8).splitlines()]
    began = datetime.now(UTC)
    result = Engine(Plan(endpoint, rows, (Arrivals(RATE, SECONDS),), processes=1), Access(fast_aws)).run()
    (phase,) = result.phases
    assert phase.tally.answered == RATE * SECONDS

    def gather():
        return collect(
            endpoint,
            began,
            datetime.now(UTC) + timedelta(seconds=1),
            sagemaker=SageMakerHook(aws_conn_id=None),
            cloudwatch=CloudWatchHook(aws_conn_id=None),
            autoscaling=AutoScalingHook(aws_conn_id=None),
        )

    def complete(found):
        scaled = any(activity["status"] == "Successful" for activity in found["scaling_activities"])
        return counted(found) == RATE * SECONDS and scaled

    found = eventually(gather, complete, 60)
    series = {(one["metric"], one["statistic"]): one for one in found["cloudwatch"]["series"]}
    assert series.keys() > LATENCIES | {INVOCATIONS, ("InvocationsPerInstance", "Sum"), ("CPUUtilization", "Average")}
    # Microseconds of the model, which are part of the sender's milliseconds.
    median_ms = phase.to_json()["latency_ms"]["p50"]
    assert min(series["ModelLatency", "p50"]["values"]) / 1000 < median_ms < series["ModelLatency", "p50"]["values"][0]
    assert [one["name"] for one in found["endpoint"]["variants"]] == ["model-a"]
    fired = {alarm["name"]: [change["to"] for change in alarm["history"]] for alarm in found["alarms"]}
    (high,) = (name for name in fired if "AlarmHigh" in name)
    assert "ALARM" in fired[high]

    written = render({"load": json.loads(result.to_json()), **found})
    for said in (
        f"CloudWatch counts {RATE * SECONDS} invocations in these minutes, the sender {RATE * SECONDS} answers",
        "model-a: Setting desired instance count to 2.",
        high,
    ):
        assert said in written, said
