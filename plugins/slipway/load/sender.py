"""Send one invocation and read the answer."""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self
from urllib.parse import urlsplit

from slipway.load.connections import Broken, Connections
from slipway.load.signing import RequestSigner, Target

# Headers that the sender writes itself.
_FRAMING = ("host", "content-length")
_VARIANT_HEADER = "x-amzn-invoked-production-variant"


class Reply(NamedTuple):
    """An answer of the model.

    :param variant: the production variant that gave it; empty where the answer does not name one
    :param body: the prediction
    """

    variant: str
    body: bytes


class NoReply(Exception):
    """A request that the model did not answer.

    :param kind: how it is counted: the status and AWS's error code, ``timeout`` or ``connection``
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Sender(Protocol):
    """What the loops need to send a request."""

    async def send(self, body: bytes) -> Reply:
        """Send one request.

        :raises NoReply: when the model does not answer
        """


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

    async def send(self, body: bytes) -> Reply:
        """Send one request."""
        try:
            status, headers, answer = await self._connections.ask(self._request(body))
        except TimeoutError:
            raise NoReply("timeout") from None
        except Broken as error:
            raise NoReply(f"connection: {error}") from None
        except OSError as error:
            raise NoReply(f"connection: {type(error).__name__}") from None
        if status != 200:
            code = headers.get("x-amzn-errortype", "").partition(":")[0]
            raise NoReply(f"{status} {code}".rstrip())
        return Reply(headers.get(_VARIANT_HEADER, ""), answer)

    def _request(self, body: bytes) -> bytes:
        headers = self._signer.headers(body)
        if self._generation != self._signer.generation:
            self._generation = self._signer.generation
            # Old requests are useless now and would keep two kilobytes for each row.
            self._requests.clear()
        made = self._requests.get(body)
        if made is None:
            fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() not in _FRAMING)
            head = f"{self._start}{fields}Content-Length: {len(body)}\r\n\r\n"
            made = self._requests[body] = head.encode("latin-1") + body
        return made
