"""The connections of the sender: answers in every framing, kept connections, and ends in the middle."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from slipway.load.connections import Broken, Connections, HttpResponse, _Connection, parse_response
from tests.unit.load.endpoints import in_virtual_time

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n\r\n1.0"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n1.\r\n1\r\n0\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("received", "status", "body", "keep"),
    [
        pytest.param(OK, 200, b"1.0", True, id="length"),
        pytest.param(CHUNKED, 200, b"1.0", True, id="chunked"),
        pytest.param(CHUNKED.replace(b"0\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n"), 200, b"1.0", True, id="trailer"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"1.0", True, id="interim"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, id="no content"),
        pytest.param(OK.replace(b"Content-Type", b"Connection: close\r\nContent-Type"), 200, b"1.0", False, id="close"),
        pytest.param(OK.replace(b"1.1", b"1.0", 1), 200, b"1.0", False, id="HTTP 1.0"),
        pytest.param(OK + b"HTTP", 200, b"1.0", False, id="more than was asked for"),
    ],
)
def test_an_answer_is_whole_with_its_last_byte(received, status, body, keep):
    answer, kept = parse_response(received, ended=False)
    assert (answer.status, answer.body, kept) == (status, body, keep)
    framed = received.removesuffix(b"HTTP")
    assert all(parse_response(framed[:length], ended=False) is None for length in range(len(framed)))


def test_an_answer_without_a_length_ends_with_the_connection():
    received = b"HTTP/1.1 500 Oh\r\nX-Amzn-ErrorType: InternalFailure\r\n\r\nno"
    assert parse_response(received, ended=False) is None
    answer, _ = parse_response(received, ended=True)
    assert (answer.status, answer.header(b"\r\nx-amzn-errortype:"), answer.body) == (500, "InternalFailure", b"no")
    assert answer.header(b"\r\nerrortype:") == ""


@pytest.mark.parametrize("received", [b"SSH-2.0\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 70_000])
def test_what_is_no_http_is_refused(received):
    with pytest.raises(ValueError, match=r"."):
        parse_response(received, ended=False)


async def ask(client):
    """Send a request; gives the response or the error."""
    answered = asyncio.get_running_loop().create_future()
    client.ask(b"POST / HTTP/1.1\r\n\r\n", answered.set_result)
    return await answered


def asked(*script, times=1, timeout_seconds=30.0):
    """Ask a server whose connections answer requests by a script; gives the answers or errors, and the connections."""
    script, connections = list(script), []

    async def serve(reader, writer):
        connections.append(writer)
        while script:
            await reader.readuntil(b"\r\n\r\n")
            for piece in script.pop(0):
                if piece is None:
                    writer.close()
                    return
                writer.write(piece)
                await writer.drain()

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = Connections(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", timeout_seconds)
        answers = []
        for _ in range(times):
            answer = await ask(client)
            answers.append(answer.body if isinstance(answer, HttpResponse) else answer)
            # What times out is the first answer, and no later one because the machine is busy.
            client._timeout_seconds = 120.0
        client.close()
        for writer in connections:
            writer.close()
        server.close()
        return answers, len(connections)

    return asyncio.run(run())


def test_a_connection_is_kept():
    assert asked([OK], [OK[:30], OK[30:]], [OK], times=3) == ([b"1.0"] * 3, 1)


def test_one_that_the_server_closes_is_replaced():
    close = OK.replace(b"Content-Type", b"Connection: close\r\nContent-Type")
    assert asked([close, None], [OK], times=2) == ([b"1.0"] * 2, 2)


def test_a_connection_that_ends_instead_of_answering_is_not_asked_again():
    [error, answer], connections = asked([OK[:-1], None], [OK], times=2)
    assert isinstance(error, Broken)
    assert (answer, connections) == (b"1.0", 2)


def test_a_late_answer_is_not_the_next_ones():
    [error, answer], connections = asked([], [OK], times=2, timeout_seconds=0.2)
    assert isinstance(error, TimeoutError)
    assert (answer, connections) == (b"1.0", 2)


class Transport:
    """Takes requests, and answers none."""

    closed = False

    def write(self, data):
        pass

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True


def test_each_request_has_the_same_time_from_when_it_was_sent():
    async def run(clock):
        client, ended = Connections("http://x/", 10.0), []
        for sent_at in (0, 1, 4, 30):
            await asyncio.sleep(sent_at - clock())
            connection = _Connection(client._open, client._idle)
            connection.connection_made(Transport())
            connection.used_at = clock()
            client._idle.append(connection)
            client.ask(b"POST", lambda end, sent_at=sent_at: ended.append((sent_at, type(end), clock())))
            if sent_at == 1:
                connection.data_received(OK)
                client._idle.clear()
        await asyncio.sleep(20)
        return [(sent_at, end, round(moment, 6)) for sent_at, end, moment in ended], len(client._idle)

    ended, idle = in_virtual_time(lambda clock: run(clock))
    assert ended == [(1, HttpResponse, 1), (0, TimeoutError, 10), (4, TimeoutError, 14), (30, TimeoutError, 40)]
    assert idle == 0


@pytest.fixture
def certificate(tmp_path):
    """A file with a certificate of localhost's own and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    file = tmp_path / "localhost.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(private + made.public_bytes(pem))
    return str(file)


async def over_tls(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()

    server = await asyncio.start_server(serve, "localhost", 0, ssl=context)
    client = Connections(f"https://localhost:{server.sockets[0].getsockname()[1]}/", 30.0)
    try:
        return await ask(client)
    finally:
        client.close()
        server.close()


def test_https_is_spoken_to_whom_the_system_trusts_only(certificate, monkeypatch):
    assert isinstance(asyncio.run(over_tls(certificate)), ssl.SSLCertVerificationError)
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    assert asyncio.run(over_tls(certificate)).body == b"1.0"
