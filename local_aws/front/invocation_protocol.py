"""The front's sockets: plain invocations are answered here, all other requests by the HTTP server.

An endpoint answers thousands of invocations a second, and a general HTTP server takes several times as long for each as
the model does. This module reads only plain POST requests with a length. At any other request it gives the connection,
with all that was received, to the HTTP server for good.

https://www.rfc-editor.org/rfc/rfc9112.html
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple
from weakref import WeakSet

from local_aws.front.asgi import AsgiScope, http_request
from local_aws.front.connections import Listener
from local_aws.front.strangers import TELLTALE
from local_aws.host.requests import HttpRequest

# Request and its scope of ASGI; status, headers and body of the answer.
Answered = Callable[[HttpRequest, AsgiScope], Awaitable[tuple[int, dict[str, str], bytes]]]
_START = b"POST /endpoints/"
_REQUEST = re.compile(rb"POST (/endpoints/[A-Za-z0-9-]+/invocations) HTTP/1\.1")
# The server gets bodies above InvokeEndpoint's limit, and requests with Expect or Upgrade.
_MAX_HEAD_BYTES = 64 * 1024
_MAX_BODY_BYTES = 7 * 1024 * 1024
_NOT_PLAIN = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"connection"}) | TELLTALE
# The client of a load signs each row once a second, and sends the same head with it until then.
_HEADS_KEPT = 256

_log = logging.getLogger(__name__)


class _Head(NamedTuple):
    request: HttpRequest
    scope: AsgiScope
    length: int


class InvocationLoop(asyncio.SelectorEventLoop):
    """An event loop that answers invocations on the front's sockets without the HTTP server."""

    def __init__(self) -> None:
        super().__init__()
        # Answers an invocation; None leaves everything to the HTTP server.
        self.answered: Answered | None = None
        self._open: WeakSet[InvocationProtocol] = WeakSet()

    async def create_server(self, protocol_factory: Any, *arguments: Any, **options: Any) -> Any:
        """Make a server whose connections answer invocations."""
        answered = self.answered
        if answered is None or not isinstance(options.get("sock"), Listener):
            return await super().create_server(protocol_factory, *arguments, **options)

        def in_front() -> asyncio.Protocol:
            made = InvocationProtocol(answered, protocol_factory)
            self._open.add(made)
            return made

        return await super().create_server(in_front, *arguments, **options)

    def close_invocations(self) -> None:
        """Close the connections of invocations, after their current answers."""
        for protocol in list(self._open):
            protocol.end()


class InvocationProtocol(asyncio.Protocol):
    """One connection of a client's.

    :param answered: answers an invocation
    :param behind: makes the HTTP server's protocol for a connection
    """

    def __init__(self, answered: Answered, behind: Callable[[], asyncio.Protocol]) -> None:
        self._answered = answered
        self._behind = behind
        self._received = bytearray()
        self._head: _Head | None = None
        self._body_start = 0
        self._task: asyncio.Task[None] | None = None
        self._ending = False
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._task is None:
            self._next()

    def end(self) -> None:
        """Close the connection, after the current answer."""
        self._ending = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    def _next(self) -> None:
        """Answer the received request, if it is complete."""
        received = self._received
        if self._head is None:
            if len(received) < len(_START) and _START.startswith(received):
                return
            end = received.find(b"\r\n\r\n")
            if end < 0 and received.startswith(_START) and len(received) < _MAX_HEAD_BYTES:
                return
            self._head = _plain(bytes(received[:end])) if end >= 0 else None
            if self._head is None:
                self._hand_over()
                return
            self._body_start = end + 4
        head = self._head
        whole = self._body_start + head.length
        if len(received) < whole:
            return
        body = bytes(received[self._body_start : whole])
        del received[:whole]
        self._head = None
        self._task = asyncio.create_task(self._answer(head, body))

    def _hand_over(self) -> None:
        behind, transport = self._behind(), self._transport
        transport.set_protocol(behind)
        behind.connection_made(transport)
        behind.data_received(bytes(self._received))
        self._received.clear()
        self._transport = None

    async def _answer(self, head: _Head, body: bytes) -> None:
        given = head.request
        request = HttpRequest(given.method, given.path, given.headers, given.query, body)
        scope = {**head.scope, "client": self._transport.get_extra_info("peername")}
        try:
            status, headers, content = await self._answered(request, scope)
        except Exception:
            _log.exception("An invocation failed")
            self._ending, status, headers, content = True, 500, {}, b"{}"
        self._task = None
        if self._transport is None:
            return
        fields = {"content-type": "application/json", "date": _date(int(time.time())), **headers}
        lines = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
        answer = f"HTTP/1.1 {status} {_phrase(status)}\r\n{lines}content-length: {len(content)}\r\n\r\n"
        self._transport.write(answer.encode("latin-1", "replace") + content)
        if self._ending:
            self._transport.close()
        elif self._received:
            self._next()


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


@cache
def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


@lru_cache(maxsize=_HEADS_KEPT)
def _plain(head: bytes) -> _Head | None:
    """Read a request's head; None unless it is a plain invocation."""
    first, *lines = head.split(b"\r\n")
    request = _REQUEST.fullmatch(first)
    if request is None:
        return None
    headers: list[tuple[bytes, bytes]] = []
    length: bytes | None = None
    for line in lines:
        name, colon, value = line.partition(b":")
        name, value = name.lower(), value.strip()
        if not colon or name != name.strip() or (name in _NOT_PLAIN and value.lower() != b"keep-alive"):
            return None
        if name == b"content-length":
            if length is not None:
                return None
            length = value
        headers.append((name, value))
    if length is None or not length.isdigit() or int(length) > _MAX_BODY_BYTES:
        return None
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": request[1].decode(),
        "raw_path": request[1],
        "query_string": b"",
        # The same object for equal heads, so that what is read of them is found without comparing them.
        "headers": tuple(headers),
    }
    return _Head(http_request(scope), scope, int(length))
