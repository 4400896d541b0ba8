"""AWS, with the person's own credentials, as the AWS CLI finds them; errors say what a person can do about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from slipway.command.airflow import is_loopback
from slipway.command.errors import CommandError
from slipway.command.exits import Exit

_LOGIN_FIX = "set AWS_PROFILE or other AWS settings, or log in again; for the local system: source .slipway/env"
_DENIED_FIX = "ask an administrator of the account for this permission; docs/aws-account.md says who needs which"
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
_DENIED = ("AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation", "AuthorizationError")
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_NO_LOGIN = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)
_MISSING = ("404", "NoSuchBucket", "NoSuchKey", "ResourceNotFound", "ResourceNotFoundException")


@dataclass(frozen=True)
class Caller:
    """Who the credentials are of."""

    account: str
    region: str
    arn: str


class Aws:
    """One account in one region.

    :param client: makes a client of a service; None for the environment's account
    """

    def __init__(self, client: Callable[[str], Any] | None = None) -> None:
        self._make = client

    @cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.Session()

    def client(self, service: str, **config: Any) -> Any:
        """Make a client.

        :param service: boto3's name
        :param config: options of botocore's Config
        :raises CommandError: when no region is configured
        """
        from botocore.config import Config

        if self._make:
            return self._make(service)
        with self.calling(f"Cannot reach {service}"):
            made = self._session.client(service)
            # The environment's proxy cannot reach this machine.
            proxies: dict[str, Any] = {"proxies": {}} if is_loopback(made.meta.endpoint_url) else {}
            given = proxies | config
            return self._session.client(service, config=Config(**given)) if given else made

    @cached_property
    def caller(self) -> Caller:
        """Who calls. https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html

        :raises CommandError: when there are no valid credentials
        """
        sts = self.client("sts")
        with self.calling("Cannot find out the AWS account"):
            found = sts.get_caller_identity()
        return Caller(found["Account"], sts.meta.region_name, found["Arn"])

    @contextmanager
    def calling(
        self, what: str, where: str | None = None, fix: str | None = None, denied: str = _DENIED_FIX
    ) -> Iterator[None]:
        """Say what boto3's errors in the block mean.

        :param what: what failed then
        :param where: the resource
        :param fix: what to do where the kind of error does not say it
        :param denied: what to do when a permission is missing
        :raises CommandError: for each of them
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            detail = error.response.get("Error", {})
            code = str(detail.get("Code", ""))
            why = f"{error.operation_name} answered {code}: {detail.get('Message', '')}"
            advice, end = (denied, Exit.REFUSED) if code in _DENIED else _meaning(code)
            raise CommandError(what, where=where, why=why, fix=fix or advice, code=end) from error
        except BotoCoreError as error:
            advice, end = _of_connection(type(error).__name__)
            raise CommandError(what, where=where, why=str(error), fix=advice, code=end) from error


def _meaning(code: str) -> tuple[str, Exit]:
    if code in _NO_LOGIN:
        return _LOGIN_FIX, Exit.NO_ACCESS
    if code in _MISSING:
        return "check the name, the region and the account", Exit.NOT_FOUND
    return "correct what the answer names, or try again later", Exit.FAILED


def _of_connection(kind: str) -> tuple[str, Exit]:
    if "Credential" in kind or "Profile" in kind or "Token" in kind or "SSO" in kind:
        return _LOGIN_FIX, Exit.NO_ACCESS
    if kind == "NoRegionError":
        return (
            "export AWS_DEFAULT_REGION, or set AWS_PROFILE; for the local system: source .slipway/env",
            Exit.NO_ACCESS,
        )
    return "check your network and AWS_ENDPOINT_URL; for the local system: make up", Exit.UNREACHABLE
