"""A small HTTP client: kept connections to one host, each with one request in flight.

A general client uses several times as much CPU for each request, which makes the endpoint look slower than it is.
https://www.rfc-editor.org/rfc/rfc9112.html
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import NamedTuple, cast
from urllib.parse import urlsplit

# Load balancers close idle connections; one that may be closed soon is not used again.
_IDLE_SECONDS = 15.0
_MAX_HEAD_BYTES = 64 * 1024
_NEVER = float("inf")
# What a header begins with, its name in lower case.
_CONNECTION, _CONTENT_LENGTH, _TRANSFER_ENCODING = b"\r\nconnection:", b"\r\ncontent-length:", b"\r\ntransfer-encoding:"


class Broken(Exception):
    """The connection ended, or what it carried was not HTTP."""


class HttpResponse(NamedTuple):
    """A response.

    :param status: the HTTP status
    :param head: the status line and the headers
    :param folded: the same in lower case
    :param body: the whole body
    """

    status: int
    head: bytes
    folded: bytes
    body: bytes

    def header(self, start: bytes) -> str:
        """Return a header's value, or an empty text.

        :param start: the line end before the header, its name in lower case, and the colon
        """
        at = self.folded.find(start)
        return self.head[at + len(start) :].partition(b"\r\n")[0].strip().decode("latin-1") if at >= 0 else ""


# Called once for each request: with its response, or with why there is none.
OnResponse = Callable[[HttpResponse | Exception], None]


class Connections:
    """Connections to one host; only the event loop's thread may use them.

    Responses are passed to functions: with a task, a future and a timer for each request, one takes twice the CPU.

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
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._open: set[_Connection] = set()
        self._idle: list[_Connection] = []

    def ask(self, request: bytes, done: OnResponse) -> None:
        """Send a request, without retries.

        :param request: head and body
        :param done: called later: with the response; with `Broken` when the connection broke before it was complete;
            with a TimeoutError; with another error when no connection could be made
        """
        now = self._loop.time()
        deadline = now + self._timeout_seconds
        while self._idle:
            connection = self._idle.pop()
            if now - connection.used_at < _IDLE_SECONDS and connection.ask(request, done, deadline):
                if self._timer is None:
                    self._timer = self._loop.call_at(deadline, self._expire)
                return
            connection.close()
        connecting = self._loop.create_task(self._connect(request, done, deadline))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)

    async def _connect(self, request: bytes, done: OnResponse, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self._open, self._idle), self._host, self._port, ssl=self._ssl
                )
        except Exception as error:
            # Nobody waits for this task, so every error has to be passed on.
            done(error)
            return
        if not connection.ask(request, done, deadline):
            done(Broken("closed"))
        elif self._timer is None:
            self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        """End the requests whose time is over. All have the same time, so the one sent first is over first."""
        now = self._loop.time()
        for connection in [one for one in self._open if one.deadline <= now]:
            connection.end(TimeoutError())
        deadline = min((one.deadline for one in self._open), default=_NEVER)
        self._timer = None if deadline == _NEVER else self._loop.call_at(deadline, self._expire)

    def close(self) -> None:
        """Close all connections. Requests in flight are forgotten."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._connecting:
            task.cancel()
        for connection in self._open:
            connection.close()
        self._idle.clear()


class _Connection(asyncio.Protocol):
    """One connection with one request at a time.

    :param connections: all that are open
    :param idle: those of them that wait for a request
    """

    def __init__(self, connections: set[_Connection], idle: list[_Connection]) -> None:
        self._loop = asyncio.get_running_loop()
        self._connections = connections
        self._idle = idle
        self._transport: asyncio.Transport | None = None
        self._done: OnResponse | None = None
        self._received = b""
        self.deadline = _NEVER
        self.used_at = 0.0

    def ask(self, request: bytes, done: OnResponse, deadline: float) -> bool:
        """Send a request.

        :param done: called with the response
        :param deadline: by the loop's clock
        :returns: False where the connection is closed; then nothing is sent
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self._done, self.deadline = done, deadline
        transport.write(request)
        return True

    def end(self, error: Exception) -> None:
        """Give the request up. Its response may still come, and must not be read as the response to the next one."""
        done = self._done
        self.close()
        if done is not None:
            done(error)

    def close(self) -> None:
        """Close the connection and forget the request."""
        self._done, self.deadline = None, _NEVER
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        if self._received:
            self._read(self._received, ended=True)
        self.end(Broken(type(error).__name__ if error else "closed"))

    def data_received(self, data: bytes) -> None:
        self._read(self._received + data if self._received else data, ended=False)

    def _read(self, received: bytes, ended: bool) -> None:
        done = self._done
        if done is None:
            # Data without a request: the next response could not be told from it.
            self.close()
            return
        try:
            found = parse_response(received, ended)
        except ValueError:
            self.end(Broken("not HTTP"))
            return
        if found is None:
            self._received = received
            return
        answer, keep = found
        self._received = b""
        if keep and not ended:
            self._done, self.deadline = None, _NEVER
            self.used_at = self._loop.time()
            self._idle.append(self)
        else:
            self.close()
        done(answer)


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
    if not head.startswith(b"HTTP/1."):
        raise ValueError(f"it begins with {head[:40]!r}")
    status = int(head[9:12])
    if 100 <= status < 200:
        # An interim response comes before the final one.
        return parse_response(rest, ended)
    # Only the headers that are needed are looked up: a table of all of them takes as long as everything else here.
    folded = head.lower()
    if (at := folded.find(_CONNECTION)) < 0:
        keep = head.startswith(b"HTTP/1.1")
    else:
        connection = folded[at + len(_CONNECTION) :].partition(b"\r\n")[0].strip()
        keep = connection == b"keep-alive" or (head.startswith(b"HTTP/1.1") and connection != b"close")
    body: bytes | None
    if _TRANSFER_ENCODING in folded:
        body, left = _unchunked(rest)
    elif (at := folded.find(_CONTENT_LENGTH)) >= 0:
        size = int(folded[at + len(_CONTENT_LENGTH) :].partition(b"\r\n")[0])
        body, left = (rest[:size], rest[size:]) if len(rest) >= size else (None, b"")
    elif status in (204, 304):
        body, left = b"", rest
    else:
        body, left = rest if ended else None, b""
    # Data after the response: the next response could not be told from it.
    return None if body is None else (HttpResponse(status, head, folded, body), keep and not left)


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
