"""Requests while instances have died and nobody has noticed yet: the living ones answer."""

import asyncio
import socket
from pathlib import Path

from local_aws.compute.base import ComputeSettings, EndpointKey, VariantSpec
from local_aws.compute.fleet import Fleet
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
