"""Sends one invocation and tells what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import aiohttp
from yarl import URL

from slipway.load.signing import Signer, Target

_VARIANT_HEADER = "x-amzn-invoked-production-variant"


@dataclass(frozen=True)
class Reply:
    """An answer of the model.

    :param variant: the production variant that gave it; empty where the answer does not say
    :param body: the prediction
    """

    variant: str
    body: bytes


class NoReply(Exception):
    """A request that the model did not answer.

    :param kind: what it is counted as: AWS's error code and the status, ``timeout`` or ``connection``
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Sender(Protocol):
    """What the loops send by."""

    async def send(self, body: bytes) -> Reply:
        """Send one request.

        :raises NoReply: when the model does not answer it
        """


class HttpSender:
    """Signed invocations over kept connections; no request is ever sent a second time.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html

    :param target: where they go
    :param signer: signs them
    :param timeout_seconds: for one answer
    """

    def __init__(self, target: Target, signer: Signer, timeout_seconds: float) -> None:
        self._url = URL(target.url, encoded=True)
        self._signer = signer
        # How many are in flight is the plan's to say, not the connector's.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, body: bytes) -> Reply:
        """Send one request."""
        try:
            async with self._session.post(self._url, data=body, headers=self._signer.headers(body)) as response:
                answer = await response.read()
        except TimeoutError:
            raise NoReply("timeout") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NoReply(f"connection: {type(error).__name__}") from None
        if response.status != 200:
            code = response.headers.get("x-amzn-errortype", "").partition(":")[0]
            raise NoReply(f"{response.status} {code}".rstrip())
        return Reply(response.headers.get(_VARIANT_HEADER, ""), answer)
