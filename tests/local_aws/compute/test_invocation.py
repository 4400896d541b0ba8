"""Requests to a scripted model server, and the log and metrics of containers, without an AWS."""

import asyncio
import json

import pytest
from aiohttp import web
from botocore.exceptions import EndpointConnectionError

from local_aws.compute.base import EndpointKey
from local_aws.compute.invocation import InstanceLost, ask_model, forwarded_headers
from local_aws.compute.logs import LogStream
from local_aws.compute.model_connection import ModelConnections, Unreachable
from tests.local_aws.server import free_port

KEY = EndpointKey("123456789012", "us-west-2", "it")


@pytest.fixture
def port():
    return free_port()


async def server(port):
    seen = []

    async def invocations(request):
        body = await request.text()
        seen.append((body, dict(request.headers)))
        if body == "hang":
            await asyncio.Event().wait()
        if body == "close":
            request.transport.abort()
        if body.isdigit():
            return web.Response(status=int(body), text=f"I say {body}")
        return web.Response(text="1.0", headers={"X-Amzn-SageMaker-Custom-Attributes": "trace"})

    app = web.Application()
    app.router.add_post("/invocations", invocations)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, seen


def ask(port, body, headers=None, **more):
    """Ask once; returns the result, the model's status and what the server saw."""

    async def run():
        runner, seen = await server(port)
        try:
            answer = await ask_model(ModelConnections(), KEY, "model-a", port, body.encode(), headers or {}, **more)
        finally:
            await runner.cleanup()
        return *answer, seen

    return asyncio.run(run())


def test_the_answer_carries_variant_and_custom_attributes(port):
    result, status, _ = ask(port, "x")
    assert (result.status, status, result.body) == (200, 200, b"1.0")
    assert result.headers["x-Amzn-Invoked-Production-Variant"] == "model-a"
    assert result.headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace"


def test_only_the_documented_headers_reach_the_model(port):
    given = {
        "content-type": "text/csv",
        "authorization": "AWS4-HMAC-SHA256 …",
        "x-amzn-sagemaker-custom-attributes": "c",
    }
    _, _, seen = ask(port, "x", forwarded_headers(given))
    headers = seen[0][1]
    assert headers["Content-Type"] == "text/csv"
    assert headers["X-Amzn-SageMaker-Custom-Attributes"] == "c"
    assert "Authorization" not in headers


@pytest.mark.parametrize(("status", "kind"), [(404, "client"), (503, "server")])
def test_the_models_own_error_is_passed_on(port, status, kind):
    result, model_status, _ = ask(port, str(status))
    assert (result.status, result.error_code, model_status) == (424, "ModelError", status)
    error = json.loads(result.body)
    assert (error["OriginalStatusCode"], error["OriginalMessage"]) == (status, f"I say {status}")
    assert error["ErrorCode"] == f"{kind.upper()}_ERROR_FROM_MODEL"
    assert error["Message"].startswith(f'Received {kind} error ({status}) from primary with message "I say {status}"')


def test_a_model_that_gives_no_answer_is_a_model_error(port):
    result, model_status, _ = ask(port, "hang", timeout_seconds=0.5)
    assert (result.status, model_status) == (424, 500)
    error = json.loads(result.body)
    assert error["OriginalStatusCode"] == 0
    assert "Your invocation timed out" in error["OriginalMessage"]


def test_a_server_that_breaks_off_may_be_gone(port):
    with pytest.raises(InstanceLost) as lost:
        ask(port, "close")
    assert (lost.value.answer.status, lost.value.answer.error_code) == (424, "ModelError")
    assert "closed the connection" in json.loads(lost.value.answer.body)["OriginalMessage"]


def test_a_server_that_is_not_there_may_be_asked_elsewhere(port):
    async def run():
        await ask_model(ModelConnections(), KEY, "model-a", port, b"x", {})

    with pytest.raises(Unreachable):
        asyncio.run(run())


class Logs:
    """Records the operations of CloudWatch Logs that a stream uses."""

    class exceptions:
        class ResourceAlreadyExistsException(Exception):
            pass

    def __init__(self, down=False):
        self.down = down
        self.created = []
        self.batches = []

    def create_log_group(self, **names):
        self.created.append(names)
        raise self.exceptions.ResourceAlreadyExistsException

    def create_log_stream(self, **names):
        self.created.append(names)

    def put_log_events(self, *, logEvents, **_):
        if self.down:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1")
        self.batches.append([event["message"] for event in logEvents])


def test_a_log_stream_sends_every_line_in_order():
    logs = Logs()
    stream = LogStream(logs, "group", "stream")
    lines = [f"line {number}\tand a tab" for number in range(2500)]
    for line in [*lines, ""]:
        stream.write(line)
    stream.close()
    assert [line for batch in logs.batches for line in batch] == [line.replace("\t", "#011") for line in lines]
    assert max(map(len, logs.batches)) <= 1000
    assert len(logs.created) == 2


def test_a_line_may_be_very_long():
    logs = Logs()
    stream = LogStream(logs, "group", "stream")
    for _ in range(10):
        stream.write("é" * 1_000_000)
    stream.close()
    assert all(sum(len(line.encode()) + 26 for line in batch) <= 1_048_576 for batch in logs.batches)
    assert sum(map(len, logs.batches)) == 10


def test_a_container_does_not_fail_for_its_log():
    stream = LogStream(Logs(down=True), "group", "stream")
    stream.write("lost")
    stream.close()
