"""The HTTP front: health, invocations of endpoints, the call ledger, and ministack behind them.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from local_aws import ledger
from local_aws.api import Invoke, ServiceError
from local_aws.gateway import Gateway
from local_aws.ledger import Call, Ledger
from local_aws.routing import HttpRequest, changes_something, operation_and_resource

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

HEALTH_PATH = "/_local_aws/health"
_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
# Enough of a body to name the operation and the resource of any call that names them in its body.
_KEPT_BODY_BYTES = 256 * 1024
# Objects are on disk before their answer; measurements and log lines are many, and the next round writes them.
_SAVED_LATER = re.compile(r"(s3:(?!.*Bucket).*|monitoring:PutMetricData|logs:PutLogEvents)")

_log = logging.getLogger(__name__)


class Front:
    """The ASGI application.

    :param gateway: ministack
    :param calls: where each call is recorded
    """

    def __init__(self, gateway: Gateway, calls: Ledger) -> None:
        self._gateway = gateway
        self._calls = calls
        self.invoke: Invoke | None = None
        self.ready = False
        # Whether a call may have changed state since the flag was last cleared.
        self.changed = False

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if scope["type"] != "http":
            await self._gateway.asgi_app(scope, receive, send)
        elif path == HEALTH_PATH:
            status = "ok" if self.ready else "starting"
            await _answer(send, 200 if self.ready else 503, {}, json.dumps({"status": status}).encode())
        elif path.startswith(("/_ministack/reset", "/_ministack/config")):
            # Any web page could post to these, and they would wipe the state.
            await _answer(send, 404, {}, b"{}")
        elif match := _INVOCATION.fullmatch(path):
            await self._invocation(match[1], scope, receive, send)
        elif path.startswith("/_") or path == "/favicon.ico":
            await self._gateway.asgi_app(scope, receive, send)
        else:
            await self._recorded(scope, receive, send)

    async def _recorded(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Let ministack answer, and write the call down before the answer leaves."""
        request = _request(scope)
        kept = bytearray()
        started: dict[str, Any] = {}

        async def listen() -> dict[str, Any]:
            message = await receive()
            if len(kept) < _KEPT_BODY_BYTES:
                kept.extend(message.get("body", b""))
            return message

        async def speak(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
                return
            if started:
                await self._record(replace(request, body=bytes(kept)), started, message.get("body", b""))
                start = dict(started)
                started.clear()
                await send(start)
            await send(message)

        try:
            await self._gateway.asgi_app(scope, listen, speak)
        except Exception:
            # The server answers 500 for it.
            await self._record(replace(request, body=bytes(kept)), {"status": 500, "headers": []}, b"")
            raise

    async def _record(self, request: HttpRequest, start: dict[str, Any], body: bytes) -> None:
        service, request = self._gateway.routed(request)
        operation, resource = operation_and_resource(service, request)
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
        status = start["status"]
        if status < 400 and changes_something(operation):
            self.changed = True
            if not _SAVED_LATER.fullmatch(f"{service}:{operation}"):
                await self._gateway.save_service(service)
        self._calls.record(
            Call(
                service=service,
                operation=operation,
                resource=resource,
                outcome=ledger.outcome(status, headers, body),
                status=status,
                caller=self._gateway.access_key(request.headers, request.query),
                region=self._gateway.region_of(request),
                request_id=headers.get("x-amzn-requestid") or headers.get("x-amz-request-id", ""),
            )
        )

    async def _invocation(self, name: str, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            return
        request = replace(_request(scope), body=body)
        request_id = str(uuid.uuid4())
        status, headers, answer = await self._invoked(name, request, scope)
        headers["x-amzn-requestid"] = request_id
        self._calls.record(
            Call(
                service="sagemaker-runtime",
                operation="InvokeEndpoint",
                resource=name,
                outcome=ledger.outcome(status, headers, answer),
                status=status,
                caller=self._gateway.access_key(request.headers, request.query),
                region=self._gateway.region_of(request),
                request_id=request_id,
            )
        )
        await _answer(send, status, headers, answer)

    async def _invoked(
        self, name: str, request: HttpRequest, scope: dict[str, Any]
    ) -> tuple[int, dict[str, str], bytes]:
        where = self._gateway.scope_of(request)
        arn = where.arn("sagemaker", f"endpoint/{name.lower()}")
        if denial := self._gateway.authorize(request, scope, "sagemaker:InvokeEndpoint", arn):
            return denial.status, denial.headers, denial.body
        try:
            if self.invoke is None:
                raise ServiceError("ServiceUnavailable", "Model hosting is not running.", 503)
            answer = await self.invoke(where, name, request.headers, request.body)
        except ServiceError as error:
            return error.status, {"x-amzn-errortype": error.code}, json.dumps(_error_members(error)).encode()
        except Exception:
            _log.exception("Invocation of %s broke", name)
            return 500, {"x-amzn-errortype": "InternalFailure"}, b'{"Message": "The local AWS failed."}'
        return answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.body


def _error_members(error: ServiceError) -> dict[str, Any]:
    return {"Message": error.message, **error.members}


def _request(scope: dict[str, Any]) -> HttpRequest:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers[name.decode("latin-1").lower()] = value.decode("latin-1")
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return HttpRequest(scope["method"], scope["path"], headers, query)


async def _body(receive: Receive) -> bytes | None:
    """Read a whole request body; None when the client has gone."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    fields = {"content-type": "application/json", **headers, "content-length": str(len(body))}
    encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


async def keep_saved(gateway: Gateway, front: Front, seconds: float) -> None:
    """Write ministack's state whenever it may have changed, until cancelled.

    :param gateway: whose state
    :param front: which sees the calls that change it
    :param seconds: between two looks
    """
    busy = False
    while True:
        await asyncio.sleep(seconds)
        was_busy, busy = busy, gateway.stack_operation_runs()
        if front.changed or busy or was_busy:
            front.changed = False
            await gateway.save()
