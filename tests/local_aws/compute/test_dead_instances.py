"""Requests while instances have died and nobody has noticed yet: the living ones answer."""

import asyncio
import contextlib
import socket
import threading
from pathlib import Path

import pytest

from local_aws.compute.base import ComputeSettings, EndpointKey, VariantSpec
from local_aws.compute.fleet import Fleet, answers_ping
from local_aws.compute.hosting import Hosting
from local_aws.compute.kinds import create_compute
from local_aws.compute.route import Route

KEY = EndpointKey("123456789012", "us-west-2", "dying")
SPEC = VariantSpec(name="model-a", model_name="model", image="image", model_data_url=None, instance_count=1)


class CountsAsHealthy:
    """An instance as its fleet sees it."""

    def __init__(self, port: int) -> None:
        self._port = port

    def acquire(self) -> int:
        return self._port

    def release(self) -> None:
        pass


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n1,2")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n1.0")
    await writer.drain()
    writer.close()


def test_a_request_goes_past_any_number_of_dead_instances(tmp_path: Path):
    settings = ComputeSettings("http://127.0.0.1:1", tmp_path, "secret", "key")
    hosting = Hosting(settings, create_compute(settings))

    async def invoke():
        server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
        ports = [*(closed_port() for _ in range(12)), server.sockets[0].getsockname()[1]]
        hosting._routes[KEY] = Route.of([Fleet(SPEC, tmp_path, [CountsAsHealthy(port) for port in ports])])
        async with server:
            return await hosting.invoke(KEY, b"1,2", {})

    answer = asyncio.run(invoke())
    assert (answer.status, answer.body) == (200, b"1.0")


def test_with_none_left_it_says_so(tmp_path: Path):
    settings = ComputeSettings("http://127.0.0.1:1", tmp_path, "secret", "key")
    hosting = Hosting(settings, create_compute(settings))
    hosting._routes[KEY] = Route.of([Fleet(SPEC, tmp_path, [CountsAsHealthy(closed_port()) for _ in range(2)])])
    assert asyncio.run(hosting.invoke(KEY, b"1,2", {})).status == 503


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"HTTP/1.1 200 OK\r\n", b"Content-Length: 0\r\n\r\n"], True),
        ([b"HTTP/1.1 503 No\r\n\r\n"], False),
        ([b"x" * 1000] * 1000, False),
        # It would be 200 in the end, if somebody waited for it.
        ([b"HTTP/1.1 200 OK\r\n", *[b"a"] * 20, b": b\r\n\r\n"], False),
    ],
)
def test_a_ping_is_answered_in_time_or_not_at_all(pieces, expected):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                for piece in pieces:
                    connection.sendall(piece)
                    if ended.wait(0.2 if len(piece) == 1 else 0):
                        return
                ended.wait(30)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert answers_ping(listener.getsockname()[1]) is expected
        ended.set()
        thread.join()
