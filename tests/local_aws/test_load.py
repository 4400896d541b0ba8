"""The load engine against an endpoint of the local AWS, with two models behind it."""

import json
from dataclasses import astuple

import botocore.session
import pytest
from botocore.credentials import ReadOnlyCredentials

from slipway.load.answers import is_right
from slipway.load.dataset import read_rows
from slipway.load.engine import Engine
from slipway.load.phases import Arrivals, LoadStage
from slipway.load.plan import Plan
from slipway.load.rows import Row, parse_row
from slipway.load.signing import Target
from tests.aws_keys import CREDENTIALS
from tests.local_aws import sagemaker_cases as cases
from tests.local_aws.server import OPERATOR_ARN, REGION

pytestmark = pytest.mark.local_aws


@pytest.fixture(scope="module")
def endpoint(local_aws):
    """An endpoint that sends a quarter of its requests to a model trained with shifted labels."""
    sagemaker = local_aws.client("sagemaker")
    right = cases.create_model(local_aws, cases.model_data(local_aws))
    shifted = cases.create_model(local_aws, cases.model_data(local_aws, label_shift=1))
    config = cases.create_config(
        local_aws,
        cases.variant(right, "right", InitialVariantWeight=3.0),
        cases.variant(shifted, "shifted", InitialVariantWeight=1.0),
    )
    name = cases.unique("load")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert cases.wait_for_endpoint(local_aws, name)["EndpointStatus"] == "InService"
    yield name
    sagemaker.delete_endpoint(EndpointName=name)


@pytest.fixture(scope="module")
def rows():
    return [parse_row(line, "rows.csv") for line in cases.csv(seed=8).splitlines()]


class Access:
    """Access to the local AWS."""

    def __init__(self, aws):
        self.aws = aws

    def target(self, endpoint_name, variant):
        return Target(self.aws.endpoint_url, REGION, "sagemaker", endpoint_name, variant)

    def credentials(self):
        return ReadOnlyCredentials(*astuple(CREDENTIALS.operator), None)

    def instances(self, endpoint_name):
        found = self.aws.client("sagemaker").describe_endpoint(EndpointName=endpoint_name)
        return {one["VariantName"]: one["CurrentInstanceCount"] for one in found["ProductionVariants"]}


def run(aws, endpoint, rows, phase, variant=None):
    result = Engine(Plan(endpoint, rows, (phase,), target_variant=variant, processes=2), Access(aws)).run()
    assert result.completed
    return result.phases[0]


def own_accuracy(aws, endpoint, rows, variant):
    """The share of rows that a variant predicts correctly when boto3 sends them one by one."""
    runtime = aws.client("sagemaker-runtime")
    right = 0
    for row in rows:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, TargetVariant=variant, ContentType="text/csv", Body=row.features
        )
        right += is_right(row.label, answer["Body"].read().decode())
    return right / len(rows)


@pytest.mark.parametrize("variant", ["right", "shifted"])
def test_every_request_is_answered_as_the_model_answers(local_aws, endpoint, rows, variant):
    before = len(local_aws.ledger(operation="InvokeEndpoint", resource=endpoint))
    phase = run(local_aws, endpoint, rows, LoadStage(16, 4 * len(rows)), variant)
    assert phase.tally.sent == phase.tally.answered == 4 * len(rows)
    assert dict(phase.tally.variants) == {variant: 4 * len(rows)}
    calls = local_aws.ledger(operation="InvokeEndpoint", resource=endpoint)[before:]
    assert len(calls) == 4 * len(rows)
    assert {(call["outcome"], call["caller"], call["region"]) for call in calls} == {("ok", OPERATOR_ARN, REGION)}
    assert len({call["request_id"] for call in calls}) == len(calls)
    assert phase.tally.right / phase.tally.answered == own_accuracy(local_aws, endpoint, rows, variant)


def test_variants_answer_by_their_weights(local_aws, endpoint, rows):
    phase = run(local_aws, endpoint, rows, Arrivals(200, 4, concurrency=16))
    assert phase.tally.sent == phase.tally.answered == 800
    # Four standard deviations of 800 draws.
    assert phase.tally.variants["right"] / 800 == pytest.approx(0.75, abs=0.062)
    assert phase.seconds[-1].instances == {"right": 1, "shifted": 1}
    assert json.loads(json.dumps(phase.to_json()))["answered"] == 800


def test_a_models_error_is_counted_as_awss(local_aws, endpoint):
    phase = run(local_aws, endpoint, [Row("1", "not,a,row")], LoadStage(2, 10))
    assert dict(phase.tally.errors) == {"424 ModelError": 10}


def test_rows_are_read_from_below_a_prefix(local_aws, monkeypatch, rows):
    prefix = cases.unique("rows")
    cases.upload(local_aws, prefix)
    monkeypatch.setenv("AWS_ENDPOINT_URL", local_aws.endpoint_url)
    assert read_rows(f"s3://{cases.BUCKET}/{prefix}/input/validation", botocore.session.get_session()) == rows
