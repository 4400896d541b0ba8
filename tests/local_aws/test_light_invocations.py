"""The light invocations of the endpoint tests: what boto3's client would get, one request for each row."""

import pytest

from slipway.aws.sagemaker import SageMakerHook
from slipway.errors import AwsError
from slipway.quality.invocations import LightInvocationHook
from tests.local_aws import sagemaker_cases as cases
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.server import REGION

pytestmark = pytest.mark.local_aws
ROWS = [line.partition(",")[2].encode() for line in cases.csv(seed=8).splitlines()[:5]]


@pytest.fixture(scope="module")
def endpoint(local_aws):
    model = cases.create_model(local_aws, cases.model_data(local_aws))
    config = cases.create_config(local_aws, cases.variant(model, "one"), cases.variant(model, "two"))
    name = cases.unique("light")
    local_aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert cases.wait_for_endpoint(local_aws, name)["EndpointStatus"] == "InService"
    yield name
    local_aws.client("sagemaker").delete_endpoint(EndpointName=name)


@pytest.fixture
def hooks(local_aws, monkeypatch):
    lead_hooks_to(local_aws.endpoint_url, monkeypatch)
    return LightInvocationHook(), SageMakerHook()


def test_each_row_is_one_request_with_the_answer_that_boto3_gets(local_aws, endpoint, hooks):
    light, boto3s = hooks
    expected = [boto3s.invoke_endpoint(endpoint, row, target_variant="two") for row in ROWS]
    before = local_aws.ledger(operation="InvokeEndpoint", resource=endpoint)
    answers = [light.invoke(endpoint, row, target_variant="two") for row in ROWS]
    calls = local_aws.ledger(operation="InvokeEndpoint", resource=endpoint)[len(before) :]
    assert [(one.body, one.variant) for one in answers] == [(one.body, "two") for one in expected]
    assert all(one.latency_ms > 0 for one in answers)
    assert [(call["outcome"], call["caller"], call["region"]) for call in calls] == [
        ("ok", before[-1]["caller"], REGION)
    ] * len(ROWS)


def test_what_is_no_answer_is_left_to_boto3_which_knows_the_error(endpoint, hooks):
    light, boto3s = hooks
    for name, row in ((endpoint, b"not,a,row"), ("missing", ROWS[0])):
        assert light.invoke(name, row) is None
        with pytest.raises(AwsError, match=name):
            boto3s.invoke_endpoint(name, row)


def test_an_aws_that_does_not_answer_is_left_to_boto3(endpoint, hooks, monkeypatch):
    lead_hooks_to("http://127.0.0.1:9", monkeypatch)
    assert LightInvocationHook().invoke(endpoint, ROWS[0]) is None


def test_new_credentials_count_at_once(local_aws, endpoint, hooks, monkeypatch):
    light, _ = hooks
    assert light.invoke(endpoint, ROWS[0])
    monkeypatch.setattr(light._credentials, "secret_key", "another")
    assert light.invoke(endpoint, ROWS[0]) is None


def test_where_airflow_traces_boto3s_client_is_used_because_it_is_watched(endpoint, hooks, monkeypatch):
    monkeypatch.setenv("AIRFLOW__TRACES__OTEL_ON", "True")
    assert hooks[0].invoke(endpoint, ROWS[0]) is None
