"""Makes calls fail on purpose: the control API of faults, and what a fault does to a request.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from local_aws.codebuild import sessions
from local_aws.compute import base
from local_aws.front import connections
from local_aws.front.asgi import KEPT_BODY_BYTES, AsgiScope, Receive, Send, answer, body_of, http_request, replayed
from local_aws.front.error_answers import ErrorAnswer, error_answer
from local_aws.front.faults import Drop, Fault, Faults, InvalidFault, parse
from local_aws.front.ledger import DROPPED
from local_aws.front.paths import FAULTS_PATH
from local_aws.host.requests import HttpRequest

_ONE_FAULT = re.compile(re.escape(FAULTS_PATH) + r"/([0-9a-f]+)")
# The scope's member that holds a function; it returns the fault that the call met.
_MET = "local_aws.fault"

Application = Callable[[AsgiScope, Receive, Send], Awaitable[None]]
# Service, operation and resource of a request, as the ledger names them.
Named = Callable[[HttpRequest], tuple[str, str, str]]
# Records a call that a fault prevented: its request, outcome, status, request id and the fault's id.
Recorded = Callable[[HttpRequest, str, int, str, str | None], None]

# What the calls that services make name themselves.
_OF_SERVICES = (base.USER_AGENT, sessions.USER_AGENT)


class FaultInjection:
    """The faults of one local AWS.

    :param named: names a request as the ledger does
    :param record: writes to the ledger
    """

    def __init__(self, named: Named, record: Recorded) -> None:
        self._named = named
        self._record = record
        self._faults = Faults()

    async def control(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer a request to the control API: list, add, remove."""
        body = await body_of(receive)
        if body is None:
            return
        status, document = self._controlled(http_request(scope), body)
        await answer(send, status, {}, b"" if document is None else json.dumps(document).encode())

    def _controlled(self, request: HttpRequest, body: bytes) -> tuple[int, Any]:
        one = _ONE_FAULT.fullmatch(request.path)
        method = request.method
        if one is None and request.path != FAULTS_PATH:
            return 404, {"message": f"There is nothing at {request.path}."}
        if method == "GET" and one is None:
            return 200, {"faults": self._faults.list()}
        if method == "POST" and one is None:
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                return 415, {"message": "Send the fault as application/json."}
            return self._added(body)
        if method == "DELETE":
            if one is None:
                self._faults.clear()
            elif not self._faults.remove(one[1]):
                return 404, {"message": f"There is no fault {one[1]}."}
            return 204, None
        return 405, {"message": f"{method} is not possible here."}

    def _added(self, body: bytes) -> tuple[int, Any]:
        try:
            return 201, self._faults.add(parse(json.loads(body)))
        except (ValueError, RecursionError) as error:
            return 400, {"message": f"The fault is not JSON: {error}"}
        except InvalidFault as error:
            return 400, {"message": str(error)}

    async def unserved(self, scope: AsgiScope, receive: Receive) -> bool:
        """Close the connection without an answer if there is a blackout, whatever the request is.

        :returns: False when there is no blackout
        """
        if self._faults.blackout() is None:
            return False
        await _close(scope, receive)
        return True

    async def call(self, application: Application, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Apply a fault to an AWS call, if there is one for it.

        :param application: performs the call, records it and answers
        """
        agent = dict(scope["headers"]).get(b"user-agent", b"").decode("latin-1")
        if any(name in agent for name in _OF_SERVICES):
            # Calls between AWS's own services have no faults.
            await application(scope, receive, send)
            return
        messages, body = await _first_messages(receive)
        request = http_request(scope, body)
        named = self._named(request)
        fault = self._faults.meet(*named)
        if fault is not None and fault.latency_seconds:
            await asyncio.sleep(fault.latency_seconds)
        fault = self._faults.blackout() or fault
        if fault is None or not (fault.error or fault.blackout_seconds or fault.drop is Drop.BEFORE):
            await self._performed(application, fault, scope, replayed(messages, receive), send)
            return
        if messages[-1].get("more_body"):
            await body_of(receive)
        if fault.error is None:
            self._record(request, DROPPED, 0, "", fault.id)
            await _close(scope, receive)
            return
        error = _error_answer(named[0], request, fault)
        request_id = error.headers.get("x-amzn-requestid") or error.headers["x-amz-request-id"]
        self._record(request, fault.error, error.status, request_id, fault.id)
        await answer(send, error.status, error.headers, error.body)

    async def _performed(
        self, application: Application, fault: Fault | None, scope: AsgiScope, receive: Receive, send: Send
    ) -> None:
        """Perform a call; drop its answer if the fault says so or a blackout has begun."""
        dropped = False

        def met() -> Fault | None:
            return self._faults.blackout() or fault

        async def speak(message: dict[str, Any]) -> None:
            nonlocal dropped
            if message["type"] == "http.response.start" and (last := met()):
                dropped = last.drop is Drop.AFTER or last.blackout_seconds is not None
                if dropped:
                    connections.close(scope["client"])
            if not dropped:
                await send(message)

        await application({**scope, _MET: met}, receive, speak)
        if dropped:
            await _gone(receive)


def fault_met(scope: AsgiScope) -> str | None:
    """Name the fault that a call has met so far, while it is performed.

    :param scope: the call's
    :returns: the fault's id, for the ledger
    """
    fault = scope.get(_MET, _no_fault)()
    return fault.id if fault else None


def _no_fault() -> None:
    return None


def _error_answer(service: str, request: HttpRequest, fault: Fault) -> ErrorAnswer:
    code = fault.error or ""
    return error_answer(service, request, code, fault.message or f"{code}, injected.", fault.http_status)


async def _first_messages(receive: Receive) -> tuple[list[dict[str, Any]], bytes]:
    """Read enough of a request's body to name the call, and keep it for the code that performs the call."""
    messages: list[dict[str, Any]] = []
    body = bytearray()
    while len(body) < KEPT_BODY_BYTES:
        messages.append(await receive())
        body += messages[-1].get("body", b"")
        if not messages[-1].get("more_body"):
            break
    return messages, bytes(body)


async def _close(scope: AsgiScope, receive: Receive) -> None:
    connections.close(scope["client"])
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    """Wait until the server sees that the client has gone; it would answer 500 if the application returned before."""
    while (await receive())["type"] != "http.disconnect":
        pass
