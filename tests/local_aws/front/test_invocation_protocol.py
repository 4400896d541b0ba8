"""The front's sockets: invocations answered before the HTTP server, everything else by it, on any connection."""

import json
import re
import socket

import pytest

from tests.local_aws.signing import signed

pytestmark = pytest.mark.local_aws
BODY = b"1,2,3"
PATH = "/endpoints/nowhere/invocations"


def head(path=PATH, body=BODY):
    """The head of a signed invocation, without its length."""
    headers = signed("POST", f"http://localhost{path}", "sagemaker", body, {"Host": "localhost"})
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}Content-Type: text/csv\r\n"


def invocation(path=PATH, body=BODY):
    """A complete signed invocation."""
    return f"{head(path, body)}Content-Length: {len(body)}\r\n\r\n".encode() + body


HEALTH = b"GET /_local_aws/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Client:
    """One connection, byte by byte."""

    def __init__(self, aws):
        self.socket = socket.create_connection(("127.0.0.1", aws.port), timeout=30)
        self.received = b""

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        """Read one answer: its status, headers and body."""
        while b"\r\n\r\n" not in self.received:
            self._more()
        head, _, rest = self.received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers["content-length"])
        while len(rest) < length:
            self._more()
            rest = self.received.partition(b"\r\n\r\n")[2]
        self.received = rest[length:]
        return int(first.split()[1]), headers, rest[:length]

    def _more(self):
        data = self.socket.recv(65536)
        assert data, "the connection was closed"
        self.received += data


@pytest.fixture
def client(local_aws):
    made = Client(local_aws)
    yield made
    made.socket.close()


def is_the_invocations(answer):
    status, headers, body = answer
    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationError")
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-amzn-requestid"])
    assert "nowhere" in json.loads(body)["Message"]
    return True


def test_one_connection_takes_one_invocation_after_another(client):
    for _ in range(3):
        client.send(invocation())
        assert is_the_invocations(client.answer())


def test_a_request_may_come_in_pieces_of_any_size(client):
    for byte in invocation():
        client.send(bytes([byte]))
    assert is_the_invocations(client.answer())


def test_requests_sent_at_once_are_answered_in_turn(client, local_aws):
    client.send(invocation() * 3)
    ids = [client.answer()[1]["x-amzn-requestid"] for _ in range(3)]
    assert [call["request_id"] for call in local_aws.ledger(resource="nowhere")][-3:] == ids


def test_what_else_comes_by_a_connection_goes_to_the_http_server(client):
    client.send(invocation())
    assert is_the_invocations(client.answer())
    client.send(HEALTH)
    assert client.answer()[::2] == (200, b'{"status": "ok"}')
    # From then on the HTTP server has the connection, and answers invocations too.
    client.send(invocation())
    assert is_the_invocations(client.answer())


def test_an_answer_under_way_comes_before_the_server_behind(client):
    client.send(invocation() + HEALTH)
    assert is_the_invocations(client.answer())
    assert client.answer()[0] == 200


@pytest.mark.parametrize(
    "make",
    [
        # Signed when it is sent: a signature counts for a quarter of an hour.
        pytest.param(
            lambda: f"{head()}Transfer-Encoding: chunked\r\n\r\n5\r\n1,2,3\r\n0\r\n\r\n".encode(), id="chunked"
        ),
        pytest.param(lambda: f"{head()}Content-Length: 05\r\nConnection: close\r\n\r\n1,2,3".encode(), id="close"),
        pytest.param(lambda: invocation("/endpoints/nowhere/%69nvocations"), id="quoted path"),
        pytest.param(lambda: invocation(f"{PATH}?x=1"), id="query"),
    ],
)
def test_an_invocation_that_is_not_plain_is_left_to_the_http_server(client, make):
    client.send(make())
    assert is_the_invocations(client.answer())


def test_what_is_no_http_is_refused(client):
    client.send(b"POST /endpoints/x/invocations\r\n\r\n")
    assert client.answer()[0] == 400


def test_too_long_a_body_is_refused_in_aws_words(client):
    length = 6_291_457
    client.send(invocation(body=b"1" * length))
    status, _, body = client.answer()
    assert status == 400
    assert f"Request body of {length} bytes exceeded limit" in json.loads(body)["Message"]
