"""The HTTP front: health, invocations, faults, the console, the call ledger, and ministack behind them.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import json
import logging
import random
import re
import time
import uuid
from typing import Any

from local_aws.framework.api import Needs, RequestContext, ServiceError
from local_aws.framework.authorization import Needed
from local_aws.framework.disk import UNAVAILABLE, UNAVAILABLE_STATUS, Disk, DiskFull
from local_aws.framework.service_parts import Download, Invoke
from local_aws.framework.store import Scope
from local_aws.front import ledger
from local_aws.front.admission import Admission, NotAdmitted
from local_aws.front.asgi import (
    KEPT_BODY_BYTES,
    Asgi,
    AsgiScope,
    Receive,
    Send,
    answer,
    body_of,
    http_request,
    replayed,
)
from local_aws.front.downloads import answer_download
from local_aws.front.error_answers import error_answer
from local_aws.front.fault_injection import FaultInjection, fault_met
from local_aws.front.ledger import Call, Ledger, milliseconds_since
from local_aws.front.own_paths import answer_own_path
from local_aws.front.page_headers import for_pages
from local_aws.front.paths import is_console, is_download, is_faults
from local_aws.front.routing import changes_something, operation_and_resource
from local_aws.front.xml_answers import readable
from local_aws.host.authentication import Caller
from local_aws.host.current import current
from local_aws.host.gateway import Gateway
from local_aws.host.requests import INVOCATION, HttpRequest, other_invocation
from local_aws.host.used_entries import begin_call

# Objects are on disk before their answer. Metrics and log lines are many, so `keep_saved` writes them later.
_SAVED_LATER = re.compile(
    r"(s3:(?!.*(Bucket|PublicAccessBlock|ObjectLockConfiguration)).*|monitoring:PutMetricData|logs:PutLogEvents)"
)
# Half of a character beyond 16 bits, in JSON. Without the other half it has no UTF-8.
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
# They need little space or none, and give some back.
_FREES_SPACE = re.compile(r"s3:(AbortMultipartUpload|DeleteBucket|DeleteObjects?)")
# The services that a service passes messages to before it answers.
_DELIVERS_TO = {"s3": ("sns", "sqs"), "sns": ("sqs",)}

_log = logging.getLogger(__name__)


class Front:
    """The ASGI application.

    :param gateway: ministack
    :param calls: where each call is recorded
    :param admission: decides who comes in
    :param disk: where changes are kept
    :param faults: whether calls can be made to go wrong
    """

    def __init__(
        self, gateway: Gateway, calls: Ledger, admission: Admission, disk: Disk, *, faults: bool = False
    ) -> None:
        self._gateway = gateway
        self._calls = calls
        self._admission = admission
        self._disk = disk
        self._faults = FaultInjection(self._named, self._write) if faults else None
        self.invoke: Invoke | None = None
        # What an invocation needs.
        self.needs: Needs | None = None
        # Finds the files of addresses below DOWNLOADS_PATH.
        self.download: Download | None = None
        # The console's pages.
        self.console: Asgi | None = None
        self.ready = False

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            # No AWS client opens a WebSocket here; the server answers 403.
            await send({"type": "websocket.close"})
            return
        shown, send = send, for_pages(send)
        try:
            self._admission.refuse_stranger(scope)
            if self.console is None or not is_console(scope["path"]):
                await self._answer(scope, receive, send)
            elif self._faults is None or not await self._faults.unserved(scope, receive):
                await self.console(scope, receive, shown)
        except NotAdmitted as refused:
            if self._faults is None or not await self._faults.unserved(scope, receive):
                await answer(send, refused.answer.status, refused.answer.headers, refused.answer.body)

    async def _answer(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer a request that has not been refused as a stranger's.

        :raises NotAdmitted: it is an AWS call without a known key's signature, or for a closed service
        """
        path = scope["path"]
        if not path.startswith("/_") and path != "/favicon.ico":
            call = self._invocation if INVOCATION.fullmatch(path) else self._recorded
            read = await self._admission.admit(scope, receive)
            if read is None:
                return
            if self._faults is None:
                await call(scope, read, send)
            else:
                await self._faults.call(call, scope, read, send)
        elif is_faults(path):
            if self._faults is None:
                await answer(send, 404, {}, b'{"message": "Start the local AWS with --faults to inject faults."}')
            else:
                await self._faults.control(scope, receive, send)
        elif self._faults is not None and await self._faults.unserved(scope, receive):
            return
        elif is_download(path):
            await answer_download(self.download, scope, receive, send)
        else:
            await answer_own_path(self._gateway, self.ready, scope, receive, send)

    async def _recorded(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Let ministack answer, and record the call before the answer is sent."""
        began = time.perf_counter()
        body = await body_of(receive)
        if body is None:
            return
        listen = replayed([{"type": "http.request", "body": body, "more_body": False}], receive)
        request = http_request(scope, body[:KEPT_BODY_BYTES])
        if not self._fits(request, len(body)):
            await self._refuse(scope, request, send, self._disk.why(), began)
            return
        if "x-amz-target" in request.headers and not _is_text(body):
            await self._refuse(
                scope, request, send, "The request has a character that is none", began, ("SerializationException", 400)
            )
            return
        started: dict[str, Any] = {}
        refused = False
        begin_call()

        async def speak(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
                return
            nonlocal refused
            if started:
                message = self._readable(request, started, message)
                try:
                    await self._record(scope, request, started, message.get("body", b""), began)
                except DiskFull as full:
                    refused = True
                    await self._refuse(scope, request, send, str(full), began)
                start = dict(started)
                started.clear()
                if not refused:
                    await send(start)
            if not refused:
                await send(message)

        try:
            await self._gateway.asgi_app(scope, listen, speak)
        except Exception:
            # The server answers 500 for it.
            await self._record(scope, request, {"status": 500, "headers": []}, b"", began)
            raise

    def _fits(self, request: HttpRequest, length: int) -> bool:
        """Tell whether there is space for what a call changes."""
        service, operation, _ = self._named(request)
        if not changes_something(operation) or _FREES_SPACE.fullmatch(f"{service}:{operation}"):
            return True
        return self._disk.has_room(length)

    async def _refuse(
        self,
        scope: AsgiScope,
        request: HttpRequest,
        send: Send,
        why: str,
        began: float,
        error: tuple[str, int] = (UNAVAILABLE, UNAVAILABLE_STATUS),
    ) -> None:
        """Answer in the call's protocol that it is not performed, or that its change cannot be kept."""
        code, status = error
        refusal = error_answer(self._named(request)[0], request, code, why, status)
        request_id = refusal.headers.get("x-amzn-requestid") or refusal.headers.get("x-amz-request-id", "")
        self._write(request, code, refusal.status, request_id, fault_met(scope), began)
        await answer(send, refusal.status, refusal.headers, refusal.body)

    def _readable(self, request: HttpRequest, start: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
        """Make an XML answer readable; the content of objects stays as it is."""
        body = message.get("body", b"")
        headers = dict(start["headers"])
        kind = next((value for name, value in headers.items() if name.lower() == b"content-type"), b"")
        if b"xml" not in kind or message.get("more_body") or (changed := readable(body)) == body:
            return message
        if start["status"] < 300 and self._named(request)[:2] == ("s3", "GetObject"):
            return message
        kept = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        start["headers"] = [*kept, (b"content-length", str(len(changed)).encode())]
        return {**message, "body": changed}

    async def _record(
        self, scope: AsgiScope, request: HttpRequest, start: dict[str, Any], body: bytes, began: float
    ) -> None:
        service, operation, _ = self._named(request)
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
        status = start["status"]
        if status < 400 and changes_something(operation):
            if _SAVED_LATER.fullmatch(f"{service}:{operation}"):
                self._gateway.persistence.save_later(service)
            else:
                self._gateway.persistence.save_service(service)
            self._gateway.persistence.save_delivered(_DELIVERS_TO.get(service, ()))
        elif service == "cloudformation":
            # The answer may show the end of an operation, which must be on disk before.
            async with self._gateway.stacks.engine.ending:
                pass
        request_id = headers.get("x-amzn-requestid") or headers.get("x-amz-request-id", "")
        self._write(request, ledger.outcome(status, headers, body), status, request_id, fault_met(scope), began)

    def _named(self, request: HttpRequest) -> tuple[str, str, str]:
        """Name a call's service, operation and resource."""
        if match := INVOCATION.fullmatch(request.path):
            return "sagemaker-runtime", "InvokeEndpoint", match[1]
        if operation := other_invocation(request.path):
            return "sagemaker-runtime", operation, request.path.split("/", 3)[2]
        service, request = self._gateway.requests.routed(request)
        return service, *operation_and_resource(service, request)

    def _write(
        self,
        request: HttpRequest,
        outcome: str,
        status: int,
        request_id: str,
        fault: str | None,
        began: float | None = None,
    ) -> None:
        service, operation, resource = self._named(request)
        self._calls.record(
            Call(
                service=service,
                operation=operation,
                resource=resource,
                outcome=outcome,
                status=status,
                caller=current.get().caller.arn,
                region=self._gateway.requests.region_of(request),
                request_id=request_id,
                fault=fault,
                milliseconds=None if began is None else milliseconds_since(began),
                denied=_denied(status),
                iam=current.get().decisions or None,
            ),
            promised=outcome == ledger.OK and changes_something(operation),
        )

    async def plain_invocation(self, request: HttpRequest, scope: AsgiScope) -> tuple[int, dict[str, str], bytes]:
        """Answer an InvokeEndpoint of `invocation_protocol`, if it is let in.

        :param request: whose path is an invocation's, with its body
        :param scope: the same as ASGI gives it
        :returns: status, headers and body
        """
        try:
            self._admission.refuse_stranger(scope)
            self._admission.admit_whole(scope, request)
        except NotAdmitted as refused:
            return refused.answer.status, refused.answer.headers, refused.answer.body
        return await self.invocation(request, scope)

    async def _invocation(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        body = await body_of(receive)
        if body is not None:
            await answer(send, *await self.invocation(http_request(scope, body), scope))

    async def invocation(self, request: HttpRequest, scope: AsgiScope) -> tuple[int, dict[str, str], bytes]:
        """Record an InvokeEndpoint and return its answer.

        :param request: whose path is an invocation's, with its body
        :param scope: the same as ASGI gives it
        :returns: status, headers and body
        """
        began = time.perf_counter()
        name = request.path.split("/", 3)[2]
        where = self._gateway.requests.scope_of(request)
        status, headers, content = await self._invoked(request, where, name)
        headers["x-amzn-requestid"] = request_id = str(uuid.UUID(int=random.getrandbits(128), version=4))
        self._calls.record(
            Call(
                service="sagemaker-runtime",
                operation="InvokeEndpoint",
                resource=name,
                outcome=ledger.outcome(status, headers, content),
                status=status,
                caller=current.get().caller.arn,
                region=where.region,
                request_id=request_id,
                fault=fault_met(scope),
                milliseconds=milliseconds_since(began),
                denied=_denied(status),
                iam=current.get().decisions or None,
            )
        )
        return status, headers, content

    def _invoking(self, caller: Caller, name: str) -> tuple[RequestContext, Needed]:
        assert self.needs is not None  # noqa: S101 (set where `invoke` is)
        context = self._gateway.requests.context(caller)
        return context, self.needs(context, "InvokeEndpoint", {"EndpointName": name})[0]

    async def _invoked(self, request: HttpRequest, where: Scope, name: str) -> tuple[int, dict[str, str], bytes]:
        caller = current.get().caller
        arn = where.arn("sagemaker", f"endpoint/{name.lower()}")
        if refusal := self._gateway.iam.authorize(caller, arn, lambda: self._invoking(caller, name)):
            answered = {"Message": refusal.message}
            return 403, {"x-amzn-errortype": "AccessDeniedException"}, json.dumps(answered).encode()
        try:
            if self.invoke is None:
                raise ServiceError("ServiceUnavailable", "Model hosting is not running.", 503)
            result = await self.invoke(where, name, request.headers, request.body)
        except ServiceError as error:
            return error.status, {"x-amzn-errortype": error.code}, json.dumps(_error_members(error)).encode()
        except Exception:
            _log.exception("The invocation of %s failed", name)
            return 500, {"x-amzn-errortype": "InternalFailure"}, b'{"Message": "The local AWS failed."}'
        return result.status, {key.lower(): value for key, value in result.headers.items()}, result.body


def _is_text(body: bytes) -> bool:
    """Tell whether all texts of a JSON document have UTF-8."""
    if not _HALF_CHARACTER.search(body):
        return True
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except ValueError:
        # Whoever reads it says what is wrong.
        pass
    return True


def _denied(status: int) -> dict[str, Any] | None:
    """Return what IAM refused of the call that is being answered."""
    refusal = current.get().refusal
    return refusal.as_data() if refusal is not None and status >= 400 else None


def _error_members(error: ServiceError) -> dict[str, Any]:
    return {"Message": error.message, **error.members}
