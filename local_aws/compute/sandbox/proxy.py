"""The HTTP proxy that is a sandbox's way out.

https://www.rfc-editor.org/rfc/rfc9110.html#name-connect
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from local_aws.compute.sandbox.spec import Proxy

_MAX_HEAD_BYTES = 64 * 1024
_HEAD_SECONDS = 30
_PIECE_BYTES = 64 * 1024
_FIELD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+:[^\r\n\0]*")
# What is said to this proxy only: https://www.rfc-editor.org/rfc/rfc9110.html#section-7.6.1
_OF_CONNECTION = frozenset({"connection", "proxy-connection", "keep-alive", "te", "upgrade", "proxy-authorization"})


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
            request = _Request.read(head)
            far_reader, far_writer = await self._connect(request.host, request.port, request.tunnel)
        except Refused as refusal:
            await _answer(writer, 403, str(refusal))
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            await _answer(writer, 400, "this proxy reads HTTP only")
        except OSError as error:
            await _answer(writer, 502, str(error))
        else:
            if request.tunnel:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                far_writer.write(request.head)
            await asyncio.gather(_copy(reader, far_writer, request.length), _copy(far_reader, writer))

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
            reader, writer = await asyncio.open_connection(address, port)
            if hosts is None and writer.get_extra_info("sockname")[0] == writer.get_extra_info("peername")[0]:
                # A machine may have a public address.
                writer.close()
                raise Refused(f"{host} is this machine, which a container does not reach")
            return reader, writer
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


@dataclass(frozen=True)
class _Request:
    """One request of the sandbox; nothing behind it is led on, for it could be for any other host.

    :param head: to send on
    :param length: of its body; None for a tunnel, which has all that follows
    """

    host: str
    port: int
    head: bytes
    length: int | None

    @property
    def tunnel(self) -> bool:
        """Whether it asks for a connection to carry anything."""
        return self.length is None

    @classmethod
    def read(cls, head: bytes) -> Self:
        """Read a head.

        :raises ValueError: it is none, or may be read in two ways
        """
        text = head.decode("latin-1").removesuffix("\r\n\r\n")
        first, *fields = text.split("\r\n")
        if not set("\r\n\0").isdisjoint(first.join(fields)) or any(not _FIELD.fullmatch(field) for field in fields):
            raise ValueError(first)
        method, target, version = first.split(" ")
        host, port = _address(method, target)
        if method == "CONNECT":
            return cls(host, port, b"", None)
        named = [(name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
        lengths = [value for name, value in named if name == "content-length"]
        if "transfer-encoding" in dict(named) or len(lengths) > 1 or not "".join(lengths or ["0"]).isdecimal():
            raise ValueError(first)
        kept = [f"{name}: {value}" for name, value in named if name not in _OF_CONNECTION]
        # Servers take the absolute form: https://www.rfc-editor.org/rfc/rfc9112.html#section-3.2.2
        lines = [f"{method} {target} {version}", *kept, "connection: close", "", ""]
        return cls(host, port, "\r\n".join(lines).encode("latin-1"), int("".join(lengths) or 0))


def _address(method: str, target: str) -> tuple[str, int]:
    if method == "CONNECT":
        host, _, port = target.rpartition(":")
        return host.lower().strip("[]"), int(port)
    parts = urlsplit(target)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(target)
    return parts.hostname, parts.port or 80


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None = None) -> None:
    """Copy until the end, or so many bytes; the rest is read and dropped, so that the other side's end is seen."""
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE_BYTES):
            sent = piece if most is None else piece[:most]
            most = None if most is None else most - len(sent)
            writer.write(sent)
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
