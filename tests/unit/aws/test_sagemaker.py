"""SageMakerHook: what is asked of AWS, and what its errors become."""

from io import BytesIO
from types import SimpleNamespace

import pytest
import tenacity.nap

from slipway.aws import sagemaker
from slipway.aws.sagemaker import Resource, SageMakerHook
from slipway.errors import AwsError, AwsRefused
from tests.unit.aws.stubs import stubbed
from tests.unit.own_time import give_time

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model/one"
JOB = {
    "TrainingJobName": "x",
    "RoleArn": "arn:aws:iam::123456789012:role/training",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/x"},
}
MISSING = [
    ("describe_training_job", "Requested resource not found."),
    ("describe_endpoint", 'Could not find endpoint "arn:aws:sagemaker:us-west-2:123456789012:endpoint/x".'),
    ("describe_endpoint_config", 'Could not find endpoint configuration "arn".'),
    ("describe_model", 'Could not find model "arn".'),
]


@pytest.fixture
def hook():
    return SageMakerHook(aws_conn_id=None, region_name="us-west-2")


@pytest.mark.parametrize(("operation", "message"), MISSING)
def test_a_missing_resource_is_none(hook, operation, message):
    stubbed(hook, "sagemaker").add_client_error(operation, "ValidationException", message)
    assert getattr(hook, operation)("x") is None


@pytest.mark.parametrize("operation", [operation for operation, _ in MISSING])
def test_any_other_error_is_translated(hook, operation):
    stubbed(hook, "sagemaker").add_client_error(operation, "ThrottlingException", "Rate exceeded", http_status_code=400)
    with pytest.raises(AwsError, match=r"\(x\).*Rate exceeded") as raised:
        getattr(hook, operation)("x")
    assert raised.value.transient


def test_a_refused_training_job_keeps_awss_code(hook):
    stubbed(hook, "sagemaker").add_client_error("create_training_job", "ResourceInUse", "names must be unique")
    with pytest.raises(AwsError) as raised:
        hook.create_training_job(JOB)
    assert raised.value.code == "ResourceInUse"


def test_an_invalid_training_job_is_not_tried_again(hook):
    stubbed(hook, "sagemaker").add_client_error("create_training_job", "ValidationException", "no such role")
    with pytest.raises(AwsRefused):
        hook.create_training_job(JOB)


def test_stopping_a_job_that_has_ended_is_no_error(hook):
    message = "The request was rejected because the training job is in status Completed."
    stubbed(hook, "sagemaker").add_client_error("stop_training_job", "ValidationException", message)
    assert hook.stop_training_job("x") is False


def test_an_outage_before_it_is_no_part_of_an_answers_latency(hook, monkeypatch):
    monkeypatch.setenv("AIRFLOW__SLIPWAY__AWS_PATIENCE_SECONDS", "60")
    give_time(monkeypatch, tenacity.nap, sleep=lambda seconds: None)
    clock = iter([0.0, 100.0, 100.005])
    monkeypatch.setattr(sagemaker, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    stub = stubbed(hook._runtime, "sagemaker-runtime")
    stub.add_client_error("invoke_endpoint", "ServiceUnavailable", "not now", http_status_code=503)
    stub.add_response("invoke_endpoint", {"Body": BytesIO(b"1"), "InvokedProductionVariant": "model-a"})
    answer = hook.invoke_endpoint("x", b"1,2")
    assert (answer.body, answer.variant, answer.latency_ms) == (b"1", "model-a", pytest.approx(5))


def test_botocore_repeats_no_invocation_by_itself(hook, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    assert hook._runtime.conn.meta.config.retries["total_max_attempts"] == 1
    assert hook.conn.meta.config.retries["total_max_attempts"] == 7


def test_tags_are_read_page_by_page(hook):
    stub = stubbed(hook, "sagemaker")
    stub.add_response("list_tags", {"Tags": [{"Key": "a", "Value": "1"}], "NextToken": "t"}, {"ResourceArn": ARN})
    stub.add_response("list_tags", {"Tags": [{"Key": "b", "Value": "2"}]}, {"ResourceArn": ARN, "NextToken": "t"})
    assert hook.list_tags(ARN) == {"a": "1", "b": "2"}


def test_deleting_what_is_gone_is_no_error(hook):
    stub = stubbed(hook, "sagemaker")
    stub.add_client_error(
        "delete_endpoint_config", "ValidationException", "Could not find", expected_params={"EndpointConfigName": "x"}
    )
    assert hook.delete_resource(Resource("endpoint config", "x", "arn")) is False


def test_weights_wait_for_a_change_that_somebody_else_makes(hook):
    stub = stubbed(hook, "sagemaker")
    changes = [{"VariantName": "model-a", "DesiredWeight": 1.0}]
    asked = {"EndpointName": "x", "DesiredWeightsAndCapacities": changes}
    stub.add_response("update_endpoint_weights_and_capacities", {"EndpointArn": ARN}, asked)
    assert hook.update_weights_and_capacities("x", changes)
    busy = 'Cannot update in-progress endpoint "arn".'
    stub.add_client_error("update_endpoint_weights_and_capacities", "ValidationException", busy)
    assert not hook.update_weights_and_capacities("x", changes)
    stub.add_client_error("update_endpoint_weights_and_capacities", "ValidationException", "no such variant")
    with pytest.raises(AwsRefused):
        hook.update_weights_and_capacities("x", changes)
