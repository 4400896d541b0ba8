"""A small HTTP client: kept connections to one host, each with one request in flight.

A general client uses several times as much CPU for each request, which makes the endpoint look slower than it is.
https://www.rfc-editor.org/rfc/rfc9112.html
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple, cast
from urllib.parse import urlsplit

# Load balancers close idle connections; one that may be closed soon is not used again.
_IDLE_SECONDS = 15.0
_MAX_HEAD_BYTES = 64 * 1024


class Broken(Exception):
    """The connection ended, or what it carried was not HTTP."""


class HttpResponse(NamedTuple):
    """A response.

    :param status: the HTTP status
    :param headers: names in lower case
    :param body: the whole body
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connections:
    """Connections to one host; only the event loop's thread may use them.

    :param url: its host and scheme are used
    :param timeout_seconds: for one response, connecting included
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._ssl = ssl.create_default_context() if secure else None
        self._timeout_seconds = timeout_seconds
        self._idle: list[_Connection] = []

    async def ask(self, request: bytes) -> HttpResponse:
        """Send a request, without retries.

        :param request: head and body
        :raises Broken: the connection broke before the response was complete
        :raises OSError: no connection could be made
        :raises TimeoutError: the response did not come in time
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_seconds
        connection = self._kept(loop.time())
        if connection is None:
            async with asyncio.timeout_at(deadline):
                _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._ssl)
        try:
            answer = await connection.ask(request, deadline)
        except BaseException:
            # Its response may still come, and must not be read as the response to the next request.
            connection.close()
            raise
        if connection.reusable:
            self._idle.append(connection)
        return answer

    def _kept(self, now: float) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and now - connection.used_at < _IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Close the connections that are idle."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()


class _Connection(asyncio.Protocol):
    """One connection with one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[HttpResponse] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._received = b""
        self.reusable = False
        self.used_at = 0.0

    def ask(self, request: bytes, deadline: float) -> asyncio.Future[HttpResponse]:
        """Send a request.

        :param deadline: by the loop's clock
        :returns: a future of the response
        """
        if self._transport is None or self._transport.is_closing():
            raise Broken("closed")
        self._answer = self._loop.create_future()
        self._timer = self._loop.call_at(deadline, self._fail, TimeoutError())
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """Close the connection."""
        self.reusable = False
        if self._timer:
            self._timer.cancel()
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable = False
        if self._received:
            self._read(ended=True)
        self._fail(Broken(type(error).__name__ if error else "closed"))

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        self._read(ended=False)

    def _fail(self, error: Exception) -> None:
        if self._timer:
            self._timer.cancel()
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)

    def _read(self, ended: bool) -> None:
        if self._answer is None or self._answer.done():
            # Data without a request: the next response could not be told from it.
            self.close()
            return
        try:
            found = parse_response(self._received, ended)
        except ValueError:
            self._fail(Broken("not HTTP"))
            self.close()
            return
        if found is not None:
            answer, keep = found
            self._received = b""
            self.used_at = self._loop.time()
            self.reusable = keep and not ended
            if self._timer:
                self._timer.cancel()
            self._answer.set_result(answer)
            if not self.reusable:
                self.close()


def parse_response(received: bytes, ended: bool) -> tuple[HttpResponse, bool] | None:
    """Parse a response.

    :param received: what has come since the request
    :param ended: whether the connection has ended
    :returns: the response, and whether the connection may be used again; None while it is incomplete
    :raises ValueError: it is not an HTTP/1 response
    """
    head, end, rest = received.partition(b"\r\n\r\n")
    if not end:
        if len(head) > _MAX_HEAD_BYTES:
            raise ValueError("the head is too long")
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, status_line = first.partition(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"it begins with {first[:40]!r}")
    status = int(status_line[:3])
    if 100 <= status < 200:
        # An interim response comes before the final one.
        return parse_response(rest, ended)
    headers = {name.lower(): value.strip() for name, _, value in [line.partition(":") for line in lines]}
    connection = headers.get("connection", "").lower()
    keep = connection == "keep-alive" or (version == "HTTP/1.1" and connection != "close")
    body: bytes | None
    if "transfer-encoding" in headers:
        body, left = _unchunked(rest)
    elif (length := headers.get("content-length")) is not None:
        body, left = (rest[: int(length)], rest[int(length) :]) if len(rest) >= int(length) else (None, b"")
    elif status in (204, 304):
        body, left = b"", rest
    else:
        body, left = rest if ended else None, b""
    # Data after the response: the next response could not be told from it.
    return None if body is None else (HttpResponse(status, headers, body), keep and not left)


def _unchunked(rest: bytes) -> tuple[bytes | None, bytes]:
    """Parse a chunked body; return it, or None while it is incomplete, and the bytes after it.

    https://www.rfc-editor.org/rfc/rfc9112.html#section-7.1
    """
    parts = []
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return None, b""
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            break
        if len(rest) < size + 2:
            return None, b""
        parts.append(rest[:size])
        rest = rest[size + 2 :]
    # Trailer fields, if any, end with an empty line.
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return None, b""
        if not line:
            return b"".join(parts), rest
