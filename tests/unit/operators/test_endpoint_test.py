"""Trying an endpoint out: ours, right and fast enough, or a clear no."""

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.errors import AwsError, EndpointTestFailed
from slipway.hooks.sagemaker import Invocation
from slipway.model_config import ModelConfig
from slipway.operators.endpoint_test import EndpointTestOperator
from slipway.rows import Row
from slipway.states import Environment
from slipway.triggers.endpoint import EndpointInServiceTrigger
from slipway.triggers.patience import WaitOutcome, WaitResult
from tests.unit.releases import TRAINED, release_plan, xcoms
from tests.unit.request_samples import iris_model
from tests.unit.stages import with_gate
from tests.unit.task_runs import context, run_task

NAME = "iris-model-development"
OUTPUTS = {"EndpointConfigName": "ours", "Revision": release_plan().revision_id}
DEPLOYED = {"stack_name": "mlops-deploy-iris-model-dev", "outputs": OUTPUTS}
ROWS = [Row("0", "1,1"), Row("1", "2,2"), Row("2", "3,3"), Row("1", "2,2")]


class SageMaker:
    """One endpoint; a row's second number less one is its class."""

    def __init__(self, status="InService", config="ours", data=TRAINED["model_data_url"], error=None):
        self.endpoint = {
            "EndpointName": NAME,
            "EndpointStatus": status,
            "EndpointArn": "arn:aws:sagemaker:us-west-2:123456789012:endpoint/iris-model",
            "EndpointConfigName": config,
            "FailureReason": "why",
        }
        self.data, self.error = data, error

    def describe_endpoint(self, name):
        assert name == NAME
        return self.endpoint

    def describe_endpoint_config(self, name):
        return {"ProductionVariants": [{"VariantName": "model-a", "ModelName": "m"}]}

    def describe_model(self, name):
        return {"PrimaryContainer": {"ModelDataUrl": self.data}}

    def invoke_endpoint(self, name, body):
        if self.error:
            raise self.error
        return Invocation(f"{float(body.decode().split(',')[1]) - 1}\n".encode(), "model-a")


class HeldOut:
    def __init__(self, rows=ROWS):
        self.given = rows

    def rows(self, data_uri, limit):
        return self.given[:limit]


def model(**test) -> ModelConfig:
    content = iris_model().model_dump()
    content["test"] = {"data": "s3://bucket/rows/", "accuracy_minimum": 0.9, **test}
    return ModelConfig.model_validate(content)


def operator(sagemaker=None, rows=ROWS, **test) -> EndpointTestOperator:
    made = EndpointTestOperator(task_id="test_dev", model=model(**test), environment=Environment.DEVELOPMENT)
    made.hook, made.held_out = sagemaker or SageMaker(), HeldOut(rows)
    return with_gate(made)


def ctx():
    return context(xcoms(deploy_dev=DEPLOYED))


def test_a_good_endpoint_passes_with_its_numbers():
    result = operator().execute(ctx())
    assert result["latency_ms"].keys() == {"p50", "p99"}
    assert {**result, "latency_ms": None} == {
        "endpoint_name": NAME,
        "rows": 4,
        "correct": 4,
        "accuracy": 1.0,
        "accuracy_minimum": 0.9,
        "latency_ms": None,
        "variants": {"model-a": 4},
    }


def test_too_few_right_answers_say_by_how_much():
    with pytest.raises(EndpointTestFailed, match=r"accuracy 0\.7500 \(3 of 4\) is 0\.1500 below 0\.9"):
        operator(rows=[*ROWS[:3], Row("0", "2,2")]).execute(ctx())


def test_too_slow_answers_say_by_how_much():
    with pytest.raises(EndpointTestFailed, match=r"p99 latency .* ms above"):
        operator(latency_p99_maximum_ms=1e-9).execute(ctx())


def test_a_regression_is_held_to_its_distance():
    rows = [Row("0.5", "1,1"), Row("1.5", "2,2")]
    assert operator(rows=rows, accuracy_minimum=None, rmse_maximum=0.5).execute(ctx())["rmse"] == 0.5
    with pytest.raises(EndpointTestFailed, match=r"rmse 0\.5 is 0\.1 above 0\.4"):
        operator(rows=rows, accuracy_minimum=None, rmse_maximum=0.4).execute(ctx())


@pytest.mark.parametrize(
    ("sagemaker", "says"),
    [
        (SageMaker(config="the one before"), "runs the one before, this release's is ours"),
        (SageMaker(data="s3://other/model.tar.gz"), "serves s3://other/model.tar.gz"),
        (SageMaker(status="Failed"), "Failed.*why"),
        (SageMaker(status="Deleting"), "Deleting"),
        (SageMaker(error=AwsError("Cannot invoke", code="ModelError", why="boom")), "failed on a held-out row.*boom"),
    ],
)
def test_an_endpoint_that_is_not_ours_or_not_well_fails(sagemaker, says):
    with pytest.raises(EndpointTestFailed, match=says):
        operator(sagemaker).execute(ctx())


def test_a_missing_endpoint_fails():
    sagemaker = SageMaker()
    sagemaker.endpoint = None
    with pytest.raises(EndpointTestFailed, match="does not exist"):
        operator(sagemaker).execute(ctx())


def test_another_revision_in_the_stack_fails():
    other = {**DEPLOYED, "outputs": {**OUTPUTS, "Revision": "newer"}}
    with pytest.raises(EndpointTestFailed, match="another revision"):
        operator().execute(context(xcoms(deploy_dev=other)))


def test_an_endpoint_on_its_way_is_waited_for():
    sagemaker = SageMaker(status="Updating")

    def wait(trigger):
        assert isinstance(trigger, EndpointInServiceTrigger)
        sagemaker.endpoint["EndpointStatus"] = "InService"
        return WaitResult(WaitOutcome.REACHED, "InService").to_event().payload

    assert run_task(operator(sagemaker), ctx(), wait=wait)["correct"] == 4


@pytest.mark.parametrize(
    ("outcome", "error"), [(WaitOutcome.TIMEOUT, EndpointTestFailed), (WaitOutcome.REFUSED, AwsError)]
)
def test_a_wait_that_ends_badly(outcome, error):
    waiting = operator(SageMaker(status="Updating"))
    with pytest.raises(TaskDeferred):
        waiting.execute(ctx())
    with pytest.raises(error):
        waiting.resume(ctx(), event=WaitResult(outcome, "Updating").to_event().payload, deadline=0)
