"""The survey on the local AWS: what it finds, and how few calls it makes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from slipway import names
from slipway.aws.endpoint_metrics import EndpointMetricsHook, MetricOfVariant
from slipway.live.look import LiveSurvey
from slipway.live.snapshot import Snapshot
from slipway.live.watcher import POLL_SECONDS
from slipway.model.config import ModelConfig
from slipway.plan import TAG_MODEL_PREFIX
from tests.cfn.releases import DEV, PRD, Model
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.sagemaker_cases import (
    BUCKET,
    create_config,
    create_model,
    model_data,
    unique,
    variant,
    wait_for_endpoint,
)
from tests.local_aws.server import AIRFLOW_ARN, LocalAws, set_up_account

pytestmark = pytest.mark.local_aws

LISTS = {"ListEndpoints": 1, "DescribeAlarms": 1, "GetMetricData": 1}


class Calls:
    """Counts Airflow's calls by operation, without those of people and of AWS itself."""

    def __init__(self, aws) -> None:
        self.aws = aws

    def of(self, look) -> tuple[Snapshot, Counter]:
        """Do something, and count its calls; the ledger has a line before its answer leaves."""
        before = len(self.aws.ledger())
        result = look()
        made = self.aws.ledger()[before:]
        return result, Counter(one["operation"] for one in made if one["caller"] == AIRFLOW_ARN)


class Survey:
    """A survey of which only the snapshot is wanted."""

    def __init__(self, models: list[str]) -> None:
        self.survey = LiveSurvey(models, None)

    def look(self, before: Snapshot) -> Snapshot:
        return self.survey.look(before).snapshot


@pytest.fixture(scope="module")
def own_aws(tmp_path_factory) -> Iterator[LocalAws]:
    """A local AWS without the endpoints and alarms of other tests, which the survey would list."""
    running = LocalAws(tmp_path_factory.mktemp("live_aws") / "state").start()
    try:
        set_up_account(running)
        yield running
    finally:
        running.stop()


@pytest.fixture
def aws(own_aws, monkeypatch) -> LocalAws:
    lead_hooks_to(own_aws.endpoint_url, monkeypatch)
    return own_aws


@pytest.fixture
def calls(aws) -> Calls:
    return Calls(aws)


def put_requests(aws, endpoint: str, name: str, *, at: datetime, requests: int, failed: int = 0) -> None:
    """Put the metrics of some requests, as SageMaker does."""
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": name}]
    values = {
        "Invocations": [1.0] * requests,
        "Invocation5XXErrors": [1.0] * failed + [0.0] * (requests - failed),
        "ModelLatency": [12_300.0] * requests,
    }
    aws.client("cloudwatch").put_metric_data(
        Namespace="AWS/SageMaker",
        MetricData=[
            {
                "MetricName": metric,
                "Dimensions": dimensions,
                "Timestamp": at,
                "Values": found,
                "Counts": [1] * len(found),
            }
            for metric, found in values.items()
        ],
    )


def test_a_model_in_both_environments(aws, calls):
    """Everything is described once; afterwards only what changed is."""
    model = Model(aws)
    alarms = {"error_5xx_share": 0.01}
    model.config = ModelConfig.model_validate(model.config.model_dump() | {"alarms": alarms})
    release = model.release(model_data(aws), ABTests=False, AutoScaling=None).approve()
    release.deploy(DEV)
    release.deploy(PRD)
    survey = Survey([model.prefix])
    first, made = calls.of(lambda: survey.look(Snapshot()))
    dev, prd = (first.endpoints[release.plan.endpoint(each)] for each in (DEV, PRD))
    assert [(one.model, one.environment, one.status) for one in (dev, prd)] == [
        (model.prefix, "development", "InService"),
        (model.prefix, "production", "InService"),
    ]
    (live,) = prd.variants
    assert (live.name, live.weight, live.instances, live.wanted_instances) == ("model-a", 1.0, 1, 1)
    assert (live.package_arn, live.artefact) == (release.package_arn, release.model_data_url)
    assert live.instance_type == "ml.c5.xlarge"
    assert (list(dev.alarms), list(prd.alarms)) == ([], ["model-a-5xx"])
    assert (prd.region, prd.minutes) == ("us-west-2", {})
    assert Snapshot.from_parts(first.parts().values()) == first
    # Both serve one artefact, whose package is looked for once.
    expected = {"DescribeEndpoint": 2, "DescribeEndpointConfig": 2, "DescribeModel": 2, "ListModelPackages": 1}
    assert {name: made[name] for name in expected} == expected

    again, made = calls.of(lambda: survey.look(first))
    assert again == first
    assert made == LISTS

    sagemaker = aws.client("sagemaker")
    wanted = [{"VariantName": "model-a", "DesiredInstanceCount": 2}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=prd.name, DesiredWeightsAndCapacities=wanted)
    wait_for_endpoint(aws, prd.name)
    grown, made = calls.of(lambda: survey.look(again))
    assert grown.endpoints[prd.name].variants[0].instances == 2
    assert made == {**LISTS, "DescribeEndpoint": 1}

    begun = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    put_requests(aws, prd.name, "model-a", at=begun, requests=20, failed=3)
    asked, made = calls.of(lambda: survey.look(grown))
    minute = asked.endpoints[prd.name].minutes["model-a"]
    assert (minute.requests, minute.errors, minute.latency_p99_ms) == (20, 3, pytest.approx(12.3, abs=0.1))
    assert datetime.fromisoformat(minute.at) == begun
    # Errors and latency are asked for when there are requests, and from then on in the same call.
    assert made == {**LISTS, "GetMetricData": 2}
    assert calls.of(lambda: survey.look(asked))[1] == LISTS

    # What a look leaves that came while the endpoint was being created: DescribeEndpoint has no variants then.
    (live,) = asked.endpoints[prd.name].variants
    creating = replace(asked.endpoints[prd.name], status="Creating", variants=())
    (created,) = survey.look(Snapshot.of([asked.endpoints[dev.name], creating])).endpoints[prd.name].variants
    assert (created.instance_type, created.package_arn) == (live.instance_type, live.package_arn)

    # Half an hour of minutes costs no more calls than three.
    earlier = begun - timedelta(minutes=20)
    put_requests(aws, prd.name, "model-a", at=earlier, requests=7)
    seen, made = calls.of(lambda: survey.survey.look(asked, begun - timedelta(minutes=30)))
    assert made == LISTS
    found = {datetime.fromisoformat(one.at): one.requests for one in seen.traffic[prd.name]["model-a"]}
    assert found == {earlier: 7, begun: 20}
    (alarm,) = EndpointMetricsHook(aws_conn_id=None).alarm_states()
    assert (alarm.endpoint, alarm.name, alarm.variant) == (prd.name, "model-a-5xx", "model-a")
    assert alarm.full_name.endswith("-model-a-5xx")
    assert datetime.fromisoformat(alarm.since).tzinfo is UTC
    assert ". Fix: " in alarm.description

    sagemaker.delete_endpoint(EndpointName=dev.name)
    wait_gone(sagemaker, dev.name)
    assert list(survey.look(asked).endpoints) == [prd.name]


def wait_gone(sagemaker, name: str) -> None:
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})


class Account:
    """Endpoints and alarms in an account, made without a release.

    One endpoint answers requests; the others have failed, so that they need no server.
    """

    def __init__(self, aws) -> None:
        self.aws, self.models = aws, [unique("m")]
        name, tags = names.endpoint_name(self.models[0], DEV), [{"Key": TAG_MODEL_PREFIX, "Value": self.models[0]}]
        config = create_config(aws, variant(create_model(aws, model_data(aws))))
        aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)
        assert wait_for_endpoint(aws, name)["EndpointStatus"] == "InService"
        s3, place = aws.client("s3"), {"Bucket": BUCKET, "Key": "gone/model.tar.gz"}
        s3.put_object(**place, Body=b"")
        self.config = create_config(aws, variant(create_model(aws, f"s3://{BUCKET}/{place['Key']}")))
        s3.delete_object(**place)

    def add(self, count: int) -> None:
        """Add models with an endpoint in each environment, and three alarms in production."""
        sagemaker = self.aws.client("sagemaker")
        added = [unique("m") for _ in range(count)]
        for prefix in added:
            tags = [{"Key": TAG_MODEL_PREFIX, "Value": prefix}]
            for environment in (DEV, PRD):
                name = names.endpoint_name(prefix, environment)
                sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=self.config, Tags=tags)
            for kind in ("4xx", "5xx", "latency"):
                self.alarm(prefix, kind)
        for prefix in added:
            for environment in (DEV, PRD):
                assert (
                    wait_for_endpoint(self.aws, names.endpoint_name(prefix, environment))["EndpointStatus"] == "Failed"
                )
        self.models += added

    def alarm(self, prefix: str, kind: str) -> None:
        endpoint = names.endpoint_name(prefix, PRD)
        dimensions = {"EndpointName": endpoint, "VariantName": "model-a", "EndpointConfigName": self.config}
        self.aws.client("cloudwatch").put_metric_alarm(
            AlarmName=f"slipway-{endpoint}-{self.config}-model-a-{kind}",
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            Statistic="Average",
            Period=60,
            EvaluationPeriods=1,
            ComparisonOperator="GreaterThanThreshold",
            Threshold=0.5,
        )


def test_an_idle_hour_costs_the_same_calls_for_two_models_and_for_forty(aws, calls):
    """But for the pages of lists: a hundred endpoints, a hundred alarms, five hundred metrics."""
    account = Account(aws)
    looks_an_hour = 3600 / POLL_SECONDS
    account.add(2)
    survey = Survey(account.models)
    known, made = calls.of(lambda: survey.look(Snapshot()))
    assert (made["DescribeEndpoint"], len(known.endpoints)) == (5, 5)
    assert {len(one.alarms) for one in known.endpoints.values()} == {0, 3}
    _, made = calls.of(lambda: survey.look(known))
    assert made == LISTS
    assert made.total() * looks_an_hour < 200

    account.add(38)
    survey = Survey(account.models)
    grown, made = calls.of(lambda: survey.look(known))
    # Only the new ones, and the tags of endpoints of others.
    pages = aws.client("sagemaker").get_paginator("list_endpoints").paginate()
    others = {one["EndpointName"] for page in pages for one in page["Endpoints"]} - grown.endpoints.keys()
    assert (made["DescribeEndpoint"], made["ListTags"], len(grown.endpoints)) == (76, 76 + len(others), 81)
    again, made = calls.of(lambda: survey.look(grown))
    assert again == grown
    assert made == {**LISTS, "DescribeAlarms": 2}
    assert made.total() * looks_an_hour < 300

    # Endpoints of others are recognized by their tags, which are read once.
    other = Survey(account.models[:1])
    mine, made = calls.of(lambda: other.look(Snapshot()))
    assert made["ListTags"] >= len(grown.endpoints)
    assert (made["DescribeEndpoint"], len(mine.endpoints)) == (1, 1)
    assert calls.of(lambda: other.look(mine))[1]["ListTags"] == 0


def test_many_metrics_are_read_by_five_hundred_a_call(aws, calls):
    wanted = [MetricOfVariant(f"none-{number}", "model-a", "Invocations", "Sum") for number in range(501)]
    found, made = calls.of(lambda: EndpointMetricsHook(aws_conn_id=None).minutes(wanted, datetime.now(UTC), 3))
    assert (found, made) == ({}, {"GetMetricData": 2})
