"""The span of each call to AWS, beside the local AWS's ledger."""

import asyncio
import contextlib
import os
import subprocess
import sys

import pytest
from botocore.exceptions import ClientError
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from slipway.aws import tracing
from slipway.aws.s3 import S3Hook
from slipway.aws.sagemaker import SageMakerHook
from slipway.aws.session import SHARED, AwsHook
from slipway.errors import AwsError
from slipway.waiting.clients import SharedClients
from tests.faults.injection import FaultInjection
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.server import LocalAws, set_up_account
from tests.spans import receiving
from tests.unit.request_samples import BUCKET
from tools.environment import AIRFLOW_CONNECTION

pytestmark = pytest.mark.local_aws

# All that a span may say: names and numbers of AWS, and nothing of what a call sends or gets.
SAID = {
    *("rpc.system", "rpc.service", "rpc.method", "cloud.region", "aws.request_id", "aws.extended_request_id"),
    *("http.response.status_code", "http.request.resend_count", "error.type"),
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    running = LocalAws(tmp_path_factory.mktemp("tracing") / "state", "--faults").start()
    set_up_account(running)
    yield running
    running.stop()


class Spans:
    """The spans of a task: a tracer of its own, and what it has recorded."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracer = provider.get_tracer("test")

    def task(self):
        return self.tracer.start_as_current_span("worker.train")

    @property
    def calls(self):
        return [span for span in self._kept.get_finished_spans() if span.kind is SpanKind.CLIENT]

    @property
    def names(self):
        return [span.name for span in self.calls]


@pytest.fixture
def spans(aws, monkeypatch) -> Spans:
    lead_hooks_to(aws.endpoint_url, monkeypatch)
    monkeypatch.setenv("AIRFLOW__TRACES__OTEL_ON", "True")
    made = Spans()
    monkeypatch.setattr(tracing, "_tracer", made.tracer)
    return made


def test_a_call_is_a_span_below_the_tasks(spans, aws):
    since = len(aws.asked())
    with spans.task() as task:
        assert S3Hook(aws_conn_id=None).objects(BUCKET, "secret-folder") == []
    (call,) = spans.calls
    (line,) = aws.asked()[since:]
    assert call.context.trace_id == task.get_span_context().trace_id
    assert call.parent.span_id == task.get_span_context().span_id
    assert call.name == "S3.ListObjectsV2"
    assert dict(call.attributes) | {"aws.extended_request_id": ""} == {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "rpc.method": "ListObjectsV2",
        "cloud.region": "us-west-2",
        "aws.request_id": line["request_id"],
        "aws.extended_request_id": "",
        "http.response.status_code": 200,
    }
    assert call.status.status_code is StatusCode.UNSET


def test_an_error_has_its_code_and_not_its_message(spans):
    with spans.task():
        assert SageMakerHook(aws_conn_id=None).describe_endpoint("secret-endpoint") is None
    (call,) = spans.calls
    assert call.attributes["error.type"] == "ValidationException"
    assert call.attributes["http.response.status_code"] == 400
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, "ValidationException")
    assert "secret" not in call.to_json()


def test_the_retries_of_a_call_are_counted_in_one_span(spans, aws):
    fault = FaultInjection(aws.endpoint_url).add(service="s3", operation="ListObjectsV2", error="SlowDown", count=2)
    with spans.task():
        S3Hook(aws_conn_id=None).objects(BUCKET, "nothing")
    FaultInjection(aws.endpoint_url).remove(fault)
    (call,) = spans.calls
    assert (call.attributes["http.request.resend_count"], call.attributes["http.response.status_code"]) == (2, 200)


def test_a_call_without_an_answer_names_botocores_error(spans, monkeypatch):
    lead_hooks_to("http://127.0.0.1:9", monkeypatch)
    with spans.task(), pytest.raises(AwsError):
        S3Hook(aws_conn_id=None).exists("bucket", "secret-key")
    (call,) = spans.calls
    assert call.attributes["error.type"] == "EndpointConnectionError"
    assert "secret" not in call.to_json()


def test_the_calls_of_a_trigger_and_of_the_roles_session_are_spans_too(spans, aws, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OF_A_ROLE", AIRFLOW_CONNECTION)
    since = len(aws.asked())

    async def wait():
        clients = SharedClients()
        hook = S3Hook(aws_conn_id="of_a_role")
        client = await clients.client("s3", lambda: hook)
        with pytest.raises(client.exceptions.ClientError):
            await client.head_object(Bucket=BUCKET, Key="secret-key")
        await clients.close()

    with spans.task() as task:
        asyncio.run(wait())
    assert spans.names == ["STS.AssumeRole", "S3.HeadObject"]
    assert spans.names == [f"{line['service'].upper()}.{line['operation']}" for line in aws.asked()[since:]]
    assert {call.parent.span_id for call in spans.calls} == {task.get_span_context().span_id}
    assert {name for call in spans.calls for name in call.attributes} <= SAID
    assert not any("secret" in call.to_json() or "arn:aws" in call.to_json() for call in spans.calls)


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "name"),
    [
        ("s3", "head_bucket", {"Bucket": BUCKET}, "S3.HeadBucket"),
        ("sagemaker", "list_models", {}, "SageMaker.ListModels"),
        (
            "sagemaker-runtime",
            "invoke_endpoint",
            {"EndpointName": "no", "Body": b""},
            "SageMaker Runtime.InvokeEndpoint",
        ),
        ("cloudformation", "list_stacks", {}, "CloudFormation.ListStacks"),
        ("cloudwatch", "list_metrics", {}, "CloudWatch.ListMetrics"),
        ("logs", "describe_log_groups", {}, "CloudWatch Logs.DescribeLogGroups"),
        ("sns", "list_topics", {}, "SNS.ListTopics"),
        ("sts", "get_caller_identity", {}, "STS.GetCallerIdentity"),
    ],
)
def test_a_span_is_found_in_the_ledger_by_its_request_id(spans, aws, service, operation, arguments, name):
    """In each of AWS's protocols, and for an error too."""
    client = AwsHook(aws_conn_id=None, client_type=service).conn
    since = len(aws.asked())
    with spans.task(), contextlib.suppress(ClientError):
        getattr(client, operation)(**arguments)
    assert spans.names == [name]
    assert [call.attributes["aws.request_id"] for call in spans.calls] == [
        line["request_id"] for line in aws.asked()[since:]
    ]


def test_the_sessions_of_a_role_are_watched_once(spans, aws, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OF_A_ROLE", AIRFLOW_CONNECTION)
    with spans.task():
        assert S3Hook(aws_conn_id="of_a_role").objects(BUCKET, "nothing") == []
        assert S3Hook(aws_conn_id=None).objects(BUCKET, "nothing") == []
    assert spans.names == ["STS.AssumeRole", "S3.ListObjectsV2", "S3.ListObjectsV2"]


def test_a_task_and_its_trigger_send_one_trace(aws, monkeypatch):
    """Below the spans that Airflow itself makes, by the protocol's own messages."""
    lead_hooks_to(aws.endpoint_url, monkeypatch)
    with receiving() as receiver:
        command = [sys.executable, "-m", "tests.local_aws.traced"]
        variables = os.environ | receiver.variables() | {"AIRFLOW__TRACES__OTEL_ON": "True"}
        path = os.pathsep.join(["plugins", os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            command, env=variables | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        sent = {span.name: span for span in receiver.spans()}
    assert sent.keys() == {"worker.train", "trigger.wait", "S3.HeadObject", "S3.HeadBucket"}
    assert len({span.trace_id for span in sent.values()}) == 1
    for call, above in (("S3.HeadObject", "worker.train"), ("S3.HeadBucket", "trigger.wait")):
        assert sent[call].parent_id == sent[above].span_id
        assert (sent[call].failed, sent[call].attributes["http.response.status_code"]) == (True, 404)


def test_nothing_is_recorded_outside_of_a_task_and_where_airflow_does_not_trace(spans, aws, monkeypatch):
    S3Hook(aws_conn_id=None).objects(BUCKET, "nothing")
    monkeypatch.setenv("AIRFLOW__TRACES__OTEL_ON", "False")
    S3Hook(aws_conn_id=None).get_session()
    SHARED.clear()
    with spans.task():
        S3Hook(aws_conn_id=None).objects(BUCKET, "nothing")
    assert spans.names == []
