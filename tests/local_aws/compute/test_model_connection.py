"""HTTP to model servers, against a scripted server."""

import asyncio
import itertools
import tracemalloc

import pytest

from local_aws.compute.model_answer import MAX_ANSWER_BYTES
from local_aws.compute.model_connection import Broken, ModelConnections, Unreachable
from tests.local_aws.server import free_port

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n\r\n1.0"


class Scripted:
    """Answers each request with the next pieces of a script; a None closes the connection."""

    def __init__(self, *script):
        self.script = list(script)
        self.requests = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader, writer):
        self.connections += 1
        while self.script:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self.requests.append((head, await reader.readexactly(length)))
            for piece in self.script.pop(0):
                if piece is None:
                    writer.close()
                    return
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()


def asked(*script, times=1, timeout_seconds=30.0):
    """Ask a scripted server; return the answers or errors, and the server."""

    async def run():
        scripted = Scripted(*script)
        server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connections = ModelConnections()
        answers = []
        for _ in range(times):
            try:
                headers = {"Content-Type": "text/csv"}
                answers.append(await connections.post(port, "/invocations", b"1,2", headers, timeout_seconds))
            except (Broken, TimeoutError) as error:
                answers.append(error)
        connections.close()
        server.close()
        return answers, scripted

    return asyncio.run(run())


def test_a_connection_is_kept():
    answers, server = asked([OK], [OK], [OK], times=3)
    assert [(answer.status, answer.headers["content-type"], answer.body) for answer in answers] == [
        (200, "text/csv", b"1.0")
    ] * 3
    assert server.connections == 1
    head, body = server.requests[0]
    assert head.startswith(b"POST /invocations HTTP/1.1\r\n") and body == b"1,2"


@pytest.mark.parametrize(
    ("pieces", "status", "body"),
    [
        ([OK[index : index + 1] for index in range(len(OK))], 200, b"1.0"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n1.\r\n1;x=y\r\n0\r\n0\r\n\r\n"], 200, b"1.0"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n1.0\r", b"\n0\r\n", b"\r\n"], 200, b"1.0"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: trailer\r\n\r\n"], 200, b""),
        ([b"HTTP/1.0 200 OK\r\n\r\n1.0", None], 200, b"1.0"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", OK], 200, b"1.0"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], 204, b""),
        ([b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno"], 500, b"no"),
    ],
)
def test_every_framing_of_an_answer_is_read(pieces, status, body):
    [answer], _ = asked(pieces)
    assert (answer.status, answer.body) == (status, body)


def test_a_connection_that_the_server_ends_is_not_used_again():
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n1.0"
    answers, server = asked([closing], [OK], times=2)
    assert [answer.body for answer in answers] == [b"1.0", b"1.0"]
    assert server.connections == 2


@pytest.mark.parametrize(
    "pieces", [[None], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1.0", None], [b"no\r\n\r\n"]]
)
def test_a_request_without_an_answer_is_not_sent_again(pieces):
    [error], server = asked(pieces)
    assert isinstance(error, Broken)
    assert len(server.requests) == 1


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        # Read again and again from the same place, this size held up everything.
        [CHUNKED + b"-6\r\n" + b"x" * 10],
        [CHUNKED + b"+1\r\nx\r\n0\r\n\r\n"],
        [CHUNKED + b"1_0\r\nx\r\n0\r\n\r\n"],
        [CHUNKED + b"1" * 100_000],
        [CHUNKED + b"1\r\nxx\r\n0\r\n\r\n"],
        [HEAD + b"Content-Length: -1\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" * 5000],
        [HEAD + b"X: " + b"x" * 100_000],
    ],
)
def test_what_is_no_answer_ends_the_request(pieces):
    [error], _ = asked(pieces)
    assert isinstance(error, Broken)


@pytest.mark.parametrize(
    "first",
    [
        HEAD + b"Content-Length: 99999999999\r\n\r\n",
        HEAD + b"\r\n",
        CHUNKED + b"fffffffff\r\n",
        CHUNKED + b"0\r\n",
    ],
)
def test_an_answer_without_an_end_fills_no_memory(first):
    pieces = itertools.chain([first], itertools.repeat(b"a: b\r\n" * 10_000))
    tracemalloc.start()
    [error], _ = asked(pieces)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(error, Broken)
    assert most < 10 * MAX_ANSWER_BYTES


def test_many_small_chunks_are_read_once_each():
    size = 300_000
    [answer], _ = asked([CHUNKED, *[b"1\r\nx\r\n" * 1000] * (size // 1000), b"0\r\n\r\n"], timeout_seconds=60)
    assert answer.body == b"x" * size


def test_a_late_answer_is_not_taken_for_the_next_ones():
    async def run():
        given_up = asyncio.Event()

        async def serve(reader, writer):
            if b"/late" in await reader.readuntil(b"\r\n\r\n"):
                await given_up.wait()
                writer.write(OK.replace(b"1.0", b"old"))
            else:
                writer.write(OK)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connections = ModelConnections()
        with pytest.raises(TimeoutError):
            await connections.post(port, "/late", b"", {}, 0.1)
        given_up.set()
        answer = await connections.post(port, "/invocations", b"", {}, 30)
        server.close()
        return answer.body

    assert asyncio.run(run()) == b"1.0"


def test_nobody_listens():
    with pytest.raises(Unreachable):
        asyncio.run(ModelConnections().post(free_port(), "/invocations", b"", {}, 5))
