"""SigV4 for invocations by botocore's signer, called once for requests with the same bytes.

A signature depends on the second in which it is made: in one second, all requests for one row have the same signature.
Signing each of them would give the same bytes again and cost a fifth of a millisecond of CPU.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials


@dataclass(frozen=True)
class Target:
    """Where invocations go.

    :param base_url: URL of SageMaker Runtime, without a path
    :param region: the region that requests are signed for
    :param signing_name: the service that requests are signed for
    :param endpoint_name: the endpoint
    :param variant: TargetVariant
    """

    base_url: str
    region: str
    signing_name: str
    endpoint_name: str
    variant: str | None = None

    @property
    def url(self) -> str:
        """The URL of InvokeEndpoint.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
        """
        return f"{self.base_url.rstrip('/')}/endpoints/{quote(self.endpoint_name, safe='')}/invocations"

    def headers(self) -> dict[str, str]:
        """Return the headers of every request, without those of its signature."""
        target = {"X-Amzn-SageMaker-Target-Variant": self.variant} if self.variant else {}
        return {"Content-Type": "text/csv", "Accept": "text/csv", **target}


class RequestSigner:
    """Sign the requests of one process.

    :param target: where they are sent
    :param credentials: to sign with; replaced by `renew`
    :param now: returns seconds since the epoch
    """

    def __init__(self, target: Target, credentials: ReadOnlyCredentials, now: Callable[[], float] = time.time) -> None:
        self._target = target
        self._credentials = credentials
        self._now = now
        self._second = -1
        # Incremented whenever all signatures have become invalid.
        self.generation = 0
        self._signed: dict[bytes, Mapping[str, str]] = {}

    def renew(self, credentials: ReadOnlyCredentials) -> None:
        """Sign with other credentials from now on."""
        self._credentials = credentials
        self._forget()

    def headers(self, body: bytes) -> Mapping[str, str]:
        """Return the headers of a request that is sent now.

        :param body: the body of the request
        """
        second = int(self._now())
        if second != self._second:
            self._second = second
            self._forget()
        signed = self._signed.get(body)
        if signed is None:
            request = AWSRequest("POST", self._target.url, headers=self._target.headers(), data=body)
            SigV4Auth(self._credentials, self._target.signing_name, self._target.region).add_auth(request)
            signed = self._signed[body] = dict(request.headers.items())
        return signed

    def _forget(self) -> None:
        self.generation += 1
        self._signed.clear()
