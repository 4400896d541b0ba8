"""HTTP to model servers: kept connections to the loopback, and only what a POST to a container needs.

A general HTTP client takes several times as long as the prediction of a row.
https://www.rfc-editor.org/rfc/rfc9112.html
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping

from local_aws.compute.model_answer import AnswerReader, ModelAnswer

# Model servers close idle connections, so a connection that has been idle this long is not used again.
_IDLE_SECONDS = 15.0


class Unreachable(Exception):
    """No server listens at the port, so the request was not sent."""


class Broken(Exception):
    """The server ended the connection without an answer, or did not answer in HTTP."""


class ModelConnections:
    """Connections to the model servers of this machine; use them on the event loop's thread only."""

    def __init__(self) -> None:
        self._idle: defaultdict[int, list[_Connection]] = defaultdict(list)
        self._deadlines = _Deadlines()

    async def post(
        self, port: int, path: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> ModelAnswer:
        """Send one request, once.

        :param port: of the loopback
        :param path: such as ``/invocations``
        :param body: the request's
        :param headers: the request's, without those that its framing needs
        :param timeout_seconds: for the whole answer
        :raises Unreachable: no server was reached, so another one may be tried
        :raises Broken: there was no answer
        :raises TimeoutError: the answer did not come in time
        """
        fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        connection = self._kept(port)
        if connection is None:
            async with asyncio.timeout_at(deadline):
                connection = await self._new(port)
        try:
            asked = connection.ask(head.encode("latin-1") + body)
            self._deadlines.add(asked, deadline)
            try:
                answer = await asked
            finally:
                self._deadlines.remove(asked)
        except BaseException:
            # Its answer may still arrive, and must not be used for the next request.
            connection.close()
            raise
        if connection.reusable:
            self._idle[port].append(connection)
        return answer

    def _kept(self, port: int) -> _Connection | None:
        idle = self._idle[port]
        while idle:
            connection = idle.pop()
            if connection.fresh:
                return connection
            connection.close()
        return None

    async def _new(self, port: int) -> _Connection:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", port)
        except OSError as error:
            raise Unreachable(str(error)) from error
        return connection

    def close(self) -> None:
        """Close the connections that are idle."""
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()


class _Deadlines:
    """Ends waits that take too long, with one timer for all, because hardly any deadline is ever reached."""

    def __init__(self) -> None:
        self._due: dict[asyncio.Future[ModelAnswer], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, future: asyncio.Future[ModelAnswer], deadline: float) -> None:
        """Set a TimeoutError on a future at a time of the loop's clock."""
        self._due[future] = deadline
        if self._timer is None or deadline < self._timer.when():
            self._arm(deadline)

    def remove(self, future: asyncio.Future[ModelAnswer]) -> None:
        """Remove a future's deadline."""
        del self._due[future]

    def _arm(self, deadline: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(deadline, self._end_late)

    def _end_late(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for future, deadline in self._due.items():
            if deadline <= now and not future.done():
                future.set_exception(TimeoutError())
        if pending := [deadline for deadline in self._due.values() if deadline > now]:
            self._arm(min(pending))


class _Connection(asyncio.Protocol):
    """One connection with one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[ModelAnswer] | None = None
        self._reader = AnswerReader()
        self._used_at = 0.0
        self.reusable = False

    @property
    def fresh(self) -> bool:
        """Whether it can be used for another request."""
        return self.reusable and self._loop.time() - self._used_at < _IDLE_SECONDS

    def close(self) -> None:
        """Close it."""
        self.reusable = False
        if self._transport:
            self._transport.close()

    def ask(self, request: bytes) -> asyncio.Future[ModelAnswer]:
        """Send a request.

        :returns: a future of the answer
        """
        if self._transport is None or self._transport.is_closing():
            raise Broken("the connection is closed")
        self._answer = self._loop.create_future()
        self._transport.write(request)
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # what create_connection makes

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable = False
        if self._answer and not self._answer.done():
            self._read(b"", ended=True)
        if self._answer and not self._answer.done():
            self._answer.set_exception(Broken(repr(error) if error else "the connection was closed"))

    def data_received(self, data: bytes) -> None:
        self._read(data, ended=False)

    def _read(self, data: bytes, ended: bool) -> None:
        if self._answer is None or self._answer.done():
            # Data without a request: the next answer could not be told from it.
            self.close()
            return
        try:
            found = self._reader.read(data, ended)
        except ValueError as error:
            self._answer.set_exception(Broken(f"no HTTP answer: {error}"))
            self.close()
            return
        if found is not None:
            answer, keep = found
            self._reader = AnswerReader()
            self._used_at = self._loop.time()
            self.reusable = keep and not ended
            if not self.reusable:
                self.close()
            self._answer.set_result(answer)
