"""A sandbox's way out: one request a connection, to the host that was checked."""

import asyncio

import pytest

from local_aws.compute.sandbox import proxy
from local_aws.compute.sandbox.proxy import Gate
from local_aws.compute.sandbox.spec import Proxy

ALLOWED = "index.example:80"
GET = b"GET http://index.example/a HTTP/1.1\r\nHost: index.example\r\n"
OTHER = b"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: x\r\n\r\n"


def led_out(request, hosts=(ALLOWED,), upstream=True, address="127.0.0.1"):
    """Send bytes to a gate; return what the machine's own proxy gets of them, and the answer."""

    async def run():
        got, ended = bytearray(), asyncio.Event()

        async def serve(reader, writer):
            got.extend(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            while piece := await reader.read(1000):
                got.extend(piece)
            ended.set()
            writer.close()

        far = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = far.sockets[0].getsockname()[1]
        gate = Gate(Proxy(hosts, f"127.0.0.1:{port}" if upstream else ""))
        near = await asyncio.start_server(gate.lead_out, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*near.sockets[0].getsockname())
        writer.write(request.replace(b"PORT", str(port).encode()))
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
        if got:
            await asyncio.wait_for(ended.wait(), 10)
        writer.close()
        near.close()
        far.close()
        return bytes(got), answer

    return asyncio.run(run())


@pytest.mark.parametrize(
    "request_",
    [
        GET + b"\r\n" + OTHER,
        GET + b"Content-Length: 3\r\n\r\n1,2" + OTHER,
        GET + b"Connection: keep-alive\r\nProxy-Connection: keep-alive\r\n\r\n" + OTHER,
    ],
)
def test_a_second_request_of_a_connection_reaches_nobody(request_):
    got, answer = led_out(request_)
    assert b"200 OK" in answer
    assert got.startswith(b"GET http://index.example/a HTTP/1.1\r\n")
    assert b"connection: close" in got and b"keep-alive" not in got
    assert b"169.254" not in got


@pytest.mark.parametrize(
    "request_",
    [
        GET + b"X: y\n\n" + OTHER,
        GET.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\n\n") + OTHER,
        GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + OTHER,
        GET + b"Content-Length: 0\r\nContent-Length: 90\r\n\r\n" + OTHER,
        GET + b"Content-Length: +0\r\n\r\n" + OTHER,
        GET + b"X : y\r\n\r\n" + OTHER,
        GET + b" folded\r\n\r\n" + OTHER,
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(request_):
    got, answer = led_out(request_)
    assert answer.startswith(b"HTTP/1.1 400")
    assert got == b""


def test_another_host_is_refused():
    got, answer = led_out(OTHER)
    assert answer.startswith(b"HTTP/1.1 403")
    assert got == b""


def test_this_machine_is_not_reached_by_an_address_that_looks_public(monkeypatch):
    """A machine may have a public address, at which its services listen."""

    async def looks_public(host, port):
        return "127.0.0.1"

    monkeypatch.setattr(proxy, "_public_address", looks_public)
    got, answer = led_out(b"GET http://public.example:PORT/ HTTP/1.1\r\n\r\n", None, upstream=False)
    assert answer.startswith(b"HTTP/1.1 403")
    assert got == b""
