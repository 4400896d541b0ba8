"""Connections that are led on, byte by byte."""

from __future__ import annotations

import asyncio
import socket


class _Side(asyncio.Protocol):
    """One of two connections; what it receives the other sends."""

    def __init__(self) -> None:
        self.other: _Side | None = None
        self.transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # what servers and create_connection make

    def data_received(self, data: bytes) -> None:
        if self.other and self.other.transport:
            self.other.transport.write(data)
        else:
            self._waiting.append(data)

    def attach(self, other: _Side) -> None:
        """Send to another side from now on, beginning with what has come already."""
        self.other = other
        if other.transport and self._waiting:
            other.transport.write(b"".join(self._waiting))
            self._waiting.clear()

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.resume_reading()

    def connection_lost(self, _error: Exception | None) -> None:
        if self.other and self.other.transport:
            self.other.transport.close()


class _Front(_Side):
    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._address = (host, port)
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            _, back = await asyncio.get_running_loop().create_connection(_Side, *self._address)
        except OSError:
            # A server that does not listen yet: the client sees a connection that ends.
            if self.transport:
                self.transport.abort()
            return
        back.attach(self)
        self.attach(back)
        if self.transport is None or self.transport.is_closing():
            back.connection_lost(None)
            if back.transport:
                back.transport.close()


async def join(listener: socket.socket, host: str, port: int) -> None:
    """Lead every connection of a listener to an address; never returns."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Front(host, port), sock=listener)
    await server.serve_forever()
