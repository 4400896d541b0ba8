"""The HTTP proxy that is a sandbox's way out.

https://www.rfc-editor.org/rfc/rfc9110.html#name-connect
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from urllib.parse import urlsplit

from local_aws.compute.sandbox.spec import Proxy

_MAX_HEAD_BYTES = 64 * 1024
_HEAD_SECONDS = 30
_PIECE_BYTES = 64 * 1024


class Refused(Exception):
    """A host that the sandbox may not reach."""


class Gate:
    """Leads connections to the hosts that are allowed.

    :param proxy: which these are
    """

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def lead_out(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection of the sandbox."""
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
            method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            host, port = _address(method, target)
            far_reader, far_writer = await self._connect(host, port, method == "CONNECT")
        except Refused as refusal:
            await _answer(writer, 403, str(refusal))
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            await _answer(writer, 400, "this proxy reads HTTP only")
        except OSError as error:
            await _answer(writer, 502, str(error))
        else:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                # Servers take the absolute form: https://www.rfc-editor.org/rfc/rfc9112.html#section-3.2.2
                far_writer.write(head)
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    async def _connect(self, host: str, port: int, tunnel: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to an allowed host, by the machine's own proxy where there is one.

        :raises Refused: it is not allowed
        :raises OSError: it cannot be reached
        """
        hosts = self._proxy.hosts
        if hosts is not None and f"{host}:{port}" not in hosts:
            allowed = ", ".join(hosts) or "none"
            raise Refused(f"{host}:{port} is not among the hosts that a build may reach: {allowed}")
        address = host if hosts is not None else await _public_address(host, port)
        if not self._proxy.upstream:
            return await asyncio.open_connection(address, port)
        name, _, upstream_port = self._proxy.upstream.rpartition(":")
        reader, writer = await asyncio.open_connection(name, int(upstream_port))
        if tunnel:
            writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
            if answer.split(b" ")[1:2] != [b"200"]:
                raise OSError(f"the proxy {self._proxy.upstream} refuses {host}:{port}")
        return reader, writer


async def _public_address(host: str, port: int) -> str:
    """Resolve a host once, so that the address that is checked is the one that is used.

    :raises Refused: it is this machine or lies in its networks
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    address = str(found[0][4][0])
    if not ipaddress.ip_address(address).is_global:
        raise Refused(f"{host} is {address}: a container reaches public addresses only")
    return address


def _address(method: str, target: str) -> tuple[str, int]:
    if method == "CONNECT":
        host, _, port = target.rpartition(":")
        return host.lower().strip("[]"), int(port)
    parts = urlsplit(target)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(target)
    return parts.hostname, parts.port or 80


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


async def _answer(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    reason = {400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway"}[status]
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close"
    with contextlib.suppress(OSError):
        writer.write(f"{head}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
