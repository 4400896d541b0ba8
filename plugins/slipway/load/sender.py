"""Send one invocation and read the answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol, Self
from urllib.parse import urlsplit

from slipway.load.connections import Broken, Connections, HttpResponse
from slipway.load.signing import RequestSigner, Target

# Headers that the sender writes itself.
_FRAMING = ("host", "content-length")
_VARIANT, _ERROR = b"\r\nx-amzn-invoked-production-variant:", b"\r\nx-amzn-errortype:"


class Reply(NamedTuple):
    """An answer of the model.

    :param variant: the production variant that gave it; empty where the answer does not name one
    :param body: the prediction
    """

    variant: str
    body: bytes


class NoReply(NamedTuple):
    """A request that the model did not answer.

    :param kind: how it is counted: the status and AWS's error code, ``timeout`` or ``connection``
    """

    kind: str


OnReply = Callable[[Reply | NoReply], None]


class Sender(Protocol):
    """What the loops need to send a request."""

    def send(self, body: bytes, done: OnReply) -> None:
        """Send one request.

        :param done: called once, after this method has returned
        """

    def abandon(self) -> None:
        """Forget the requests in flight."""


class HttpSender:
    """Send signed invocations over kept connections; requests are never retried.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html

    :param target: where to send them
    :param signer: signs them
    :param timeout_seconds: for one answer
    """

    def __init__(self, target: Target, signer: RequestSigner, timeout_seconds: float) -> None:
        parts = urlsplit(target.url)
        # The host as botocore signs it: without the scheme's default port.
        default = {"http": 80, "https": 443}.get(parts.scheme)
        host = parts.netloc.lower().removesuffix(f":{default}")
        self._start = f"POST {parts.path} HTTP/1.1\r\nHost: {host}\r\n"
        self._signer = signer
        self._connections = Connections(target.url, timeout_seconds)
        # Complete requests by body, and the generation of their signatures.
        self._requests: dict[bytes, bytes] = {}
        self._generation = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._connections.close()

    def send(self, body: bytes, done: OnReply) -> None:
        """Send one request.

        :param done: called with the answer
        """
        self._connections.ask(self._request(body), partial(_answer, done))

    def abandon(self) -> None:
        """Forget the requests in flight."""
        self._connections.close()

    def _request(self, body: bytes) -> bytes:
        generation = self._signer.generation()
        if self._generation != generation:
            self._generation = generation
            # Old requests are useless now and would keep two kilobytes for each row.
            self._requests.clear()
        made = self._requests.get(body)
        if made is None:
            headers = self._signer.headers(body)
            fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() not in _FRAMING)
            head = f"{self._start}{fields}Content-Length: {len(body)}\r\n\r\n"
            made = self._requests[body] = head.encode("latin-1") + body
        return made


def _answer(done: OnReply, response: HttpResponse | Exception) -> None:
    if isinstance(response, Exception):
        done(NoReply(_kind(response)))
    elif response.status != 200:
        code = response.header(_ERROR).partition(":")[0]
        done(NoReply(f"{response.status} {code}".rstrip()))
    else:
        done(Reply(response.header(_VARIANT), response.body))


def _kind(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    return f"connection: {error}" if isinstance(error, Broken) else f"connection: {type(error).__name__}"
