"""The amazon provider's own operators put through the same faults: where they fail, our tests can tell.

What a killed worker costs them is in test_worker_killed.py.
"""

import asyncio
import contextlib
import json
import time
from types import SimpleNamespace

import pytest
from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.httpsession import AIOHTTPSession
from airflow.providers.amazon.aws.operators.cloud_formation import CloudFormationCreateStackOperator
from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger
from airflow.sdk.exceptions import TaskDeferred
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from slipway.deployment.deploy_stack import CloudFormationDeployOperator
from slipway.source.pin import S3VersionSensor
from slipway.source.uploads import STATE_KEY, IntakeState
from slipway.source.watcher import UploadWatcherTrigger
from slipway.waiting.results import WaitOutcome
from tests.cfn.stacks import upload_template
from tests.faults.releases import Run, begin, tasks
from tests.local_aws.release_support import model, zip_with
from tests.unit.request_samples import BUCKET, KEY, training_job
from tests.unit.scripted_aws import MemoryStore
from tests.unit.task_runs import first_event, run_task

pytestmark = pytest.mark.local_aws

HOUR_SECONDS = 3600
TOPIC = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}


def deferred(operator, ctx: dict):
    """Execute a task. Returns the trigger that it waits with."""
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(ctx)
    return deferral.value.trigger


@pytest.fixture(scope="module")
def endless(aws):
    """The triggers of two tasks, a stock one and ours, whose jobs train for longer than anybody waits here."""
    job = json.loads(json.dumps(training_job()).replace("sagemaker-us-west-2-123456789012", BUCKET))
    job["HyperParameters"]["num_round"] = "100000"
    config = {**job, "TrainingJobName": "stock"}
    stock = SageMakerTrainingOperator(task_id="train", config=config, deferrable=True, print_log=False)
    run = begin(aws, model(), zip_with(num_round="100000"))
    yield deferred(stock, {}), deferred(tasks(model())["train"](), run.context("train"))
    for name in ("stock", run.xcoms["process_request"]["training_job_name"]):
        with contextlib.suppress(ClientError):
            aws.client("sagemaker").stop_training_job(TrainingJobName=name)


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    """The seconds that triggers wait between polls, which pass at once."""
    seconds: list[float] = []
    sleep = asyncio.sleep

    async def pass_at_once(delay, result=None):
        seconds.append(delay)
        return await sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", pass_at_once)
    return seconds


def status(aws, trigger) -> str:
    return aws.client("sagemaker").describe_training_job(TrainingJobName=trigger.job_name)["TrainingJobStatus"]


def test_a_job_of_more_than_half_an_hour_outlasts_the_stock_trigger_and_not_ours(aws, endless, slept):
    stock, ours = endless
    assert first_event(stock)["status"] == "timeout"
    assert sum(slept) <= HOUR_SECONDS / 2
    assert status(aws, stock) == "InProgress"

    slept.clear()
    ours.poll_seconds = 60.0

    async def watch():
        waiting = asyncio.ensure_future(anext(ours.run()))
        while sum(slept) < 2 * HOUR_SECONDS and not waiting.done():
            await asyncio.sleep(0)
        ended = waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await ours.cleanup()
        return ended

    assert asyncio.run(watch()) is False
    assert status(aws, ours) == "InProgress"
    assert ours.deadline - time.time() > 100 * HOUR_SECONDS - HOUR_SECONDS


def test_one_expired_token_ends_the_stock_wait_and_not_ours(aws, endless, slept, monkeypatch):
    stock, ours = endless
    send, errors = AIOHTTPSession.send, []

    async def fail_once(session, request):
        if errors or not request.headers.get("X-Amz-Target", b"").endswith(b"DescribeTrainingJob"):
            return await send(session, request)
        errors.append(request)
        headers = HTTPHeaders()
        headers["x-amzn-errortype"] = "ExpiredTokenException"

        async def read():
            return b'{"__type": "ExpiredTokenException", "message": "The security token is expired"}'

        return AioAWSResponse(request.url, 400, headers, SimpleNamespace(read=read))

    monkeypatch.setattr(AIOHTTPSession, "send", fail_once)
    assert first_event(stock)["status"] not in ("success", "stopped")
    assert (len(errors), status(aws, stock)) == (1, "InProgress")

    errors.clear()
    aws.client("sagemaker").stop_training_job(TrainingJobName=ours.job_name)
    event = first_event(ours)
    assert len(errors) == 1
    assert (event["outcome"], event["status"]) == (WaitOutcome.FAILED, "Stopped")


def test_an_upload_whose_event_was_lost_is_lost_to_the_stock_watcher_and_not_to_ours(aws):
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName="uploads")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="an upload")
    key = "training_jobs/lost-model/trainingjob.zip"
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"an upload")

    # Both triggerers end between the event and its record in Airflow's database; both watchers are made again.
    assert first_event(SqsSensorTrigger(sqs_queue=queue, wait_time_seconds=0))["status"] == "success"
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(anext(SqsSensorTrigger(sqs_queue=queue, wait_time_seconds=0).run()), 2))
    assert "Messages" not in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=0)

    for _ in range(2):
        watcher = UploadWatcherTrigger(bucket=BUCKET, keys=[key])
        watcher.asset_state_store = MemoryStore(**{STATE_KEY: IntakeState().to_json()})
        assert first_event(watcher)["waiting"] >= 1


def test_a_retry_releases_what_was_uploaded_since_with_the_stock_sensor_and_not_with_ours(aws):
    s3, run = aws.client("s3"), Run("manual__1")
    versions, ours = [], []
    for body in (b"first", b"second"):
        versions.append(s3.put_object(Bucket=BUCKET, Key=KEY, Body=body)["VersionId"])
        # Each attempt of either task is a new operator.
        assert S3KeySensor(task_id="source", bucket_name=BUCKET, bucket_key=KEY).poke({}) is True
        sensor = S3VersionSensor(task_id="source", model_prefix="iris-model", bucket_name=BUCKET, bucket_key=KEY)
        ours.append(sensor.execute(run.context("source"))["version_id"])
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["VersionId"] == versions[1]
    assert ours == [versions[0]] * 2


def test_a_second_release_is_beyond_the_stock_stack_operator_and_not_ours(aws, tmp_path):
    template = tmp_path / "topic.json"
    template.write_text(json.dumps(TOPIC))
    upload_template(template)

    def stock():
        parameters = {"TemplateBody": json.dumps(TOPIC)}
        CloudFormationCreateStackOperator(
            task_id="deploy", stack_name="stock", cloudformation_parameters=parameters
        ).execute({})

    stock()
    with pytest.raises(ClientError, match="already exists"):
        stock()

    def ours() -> str:
        operator = CloudFormationDeployOperator(
            task_id="deploy", stack_name="ours", template_path=str(template), template_bucket=BUCKET, poll_seconds=0.2
        )
        return run_task(operator, Run("manual__1").context("deploy"))["change"]

    assert (ours(), ours()) == ("created", "unchanged")
