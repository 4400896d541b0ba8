"""A sandbox's network: nothing but its own loopback, and what this module leads in and out of it.

Requests come in by a port of the machine that leads to the sandbox's port 8080. HTTP goes out by a proxy that listens
on the sandbox's loopback. So no machine needs virtual interfaces, routes or a firewall, and code in the sandbox reaches
neither this machine's services nor its network.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from local_aws.compute.sandbox import kernel
from local_aws.compute.sandbox.pipe import join
from local_aws.compute.sandbox.proxy import Gate
from local_aws.compute.sandbox.spec import SandboxSpec

PROXY_PORT = 3128
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
SERVING_PORT = 8080
# linux/sockios.h and linux/if.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_BACKLOG = 512


def start_loopback() -> int:
    """Bring up the loopback of this network namespace.

    :returns: an open file that stands for the namespace
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def relay(spec: SandboxSpec, namespace: int) -> None:
    """Start what leads in and out, by threads of this process.

    :param spec: says what
    :param namespace: the file of `start_loopback`
    :raises OSError: a port is taken
    """
    if spec.serve_port is not None:
        _in_thread(_lead_in(_listener(spec.serve_port)), namespace)
    if spec.proxy is not None:
        listener = _in_namespace(lambda: _listener(PROXY_PORT), namespace)
        _in_thread(_serve(listener, Gate(spec.proxy).lead_out), None)


def lead_in(port: int, namespace: int) -> None:
    """Lead a port of the machine to the serving port of another network, by this process, which then does nothing else.

    :param port: of the machine's loopback
    :param namespace: an open file that stands for the other network
    :raises OSError: the port is taken, or this process may not enter the network
    """
    listener = _listener(port)
    kernel.setns(namespace, kernel.CLONE_NEWNET)
    asyncio.run(_lead_in(listener))


def _listener(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", port))
    found.listen(_BACKLOG)
    found.setblocking(False)
    return found


def _in_namespace(make: Callable[[], socket.socket], namespace: int) -> socket.socket:
    """Make a socket in another network, to which it belongs from then on."""
    made: list[socket.socket | BaseException] = []

    def enter_and_make() -> None:
        try:
            kernel.setns(namespace, kernel.CLONE_NEWNET)
            made.append(make())
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=enter_and_make)
    thread.start()
    thread.join()
    if isinstance(made[0], BaseException):
        raise made[0]
    return made[0]


def _in_thread(work: Coroutine[Any, Any, None], namespace: int | None) -> None:
    """Do work in a thread of its own, which may begin at any later time."""

    def run() -> None:
        if namespace is not None:
            kernel.setns(namespace, kernel.CLONE_NEWNET)
        asyncio.run(work)

    threading.Thread(target=run, daemon=True).start()


async def _lead_in(listener: socket.socket) -> None:
    """Lead connections to the sandbox's server; this thread is in its network, the listener in the machine's."""
    await join(listener, "127.0.0.1", SERVING_PORT)


async def _serve(
    listener: socket.socket, answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
) -> None:
    server = await asyncio.start_server(answer, sock=listener)
    await server.serve_forever()
