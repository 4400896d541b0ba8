"""The way to AWS: where an endpoint is invoked, with what credentials, and how many instances it has."""

from __future__ import annotations

from typing import Any, Protocol

import botocore.session
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from slipway.load.errors import LoadError
from slipway.load.signing import Target


class Access(Protocol):
    """What the engine needs of AWS."""

    def target(self, endpoint_name: str, variant: str | None) -> Target:
        """Say where an endpoint is invoked."""

    def credentials(self) -> ReadOnlyCredentials:
        """Give credentials that are good now."""

    def instances(self, endpoint_name: str) -> dict[str, int]:
        """Count an endpoint's instances by variant."""


class SessionAccess:
    """By a session of botocore's, which renews its credentials itself.

    :param session: as the caller's settings make it when None
    """

    def __init__(self, session: botocore.session.Session | None = None) -> None:
        self._session = session or botocore.session.get_session()
        self._sagemaker: Any = None

    def target(self, endpoint_name: str, variant: str | None) -> Target:
        """Say where an endpoint is invoked.

        :param endpoint_name: the endpoint
        :param variant: TargetVariant
        :raises LoadError: when no region is configured, or the settings are wrong
        """
        try:
            meta = self._session.create_client("sagemaker-runtime").meta
        except (BotoCoreError, ClientError) as error:
            raise LoadError(f"Cannot tell where {endpoint_name} is invoked: {error}") from error
        model = meta.service_model
        return Target(meta.endpoint_url, meta.region_name, model.signing_name, endpoint_name, variant)

    def credentials(self) -> ReadOnlyCredentials:
        """Give credentials that are good now.

        :raises LoadError: when there are none, or the role that gives them is refused
        """
        try:
            found = self._session.get_credentials()
            if found is None:
                raise LoadError("There are no AWS credentials. Fix: set AWS_PROFILE, or what else botocore reads")
            return found.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise LoadError(f"The AWS credentials cannot be got: {error}") from error

    def instances(self, endpoint_name: str) -> dict[str, int]:
        """Count an endpoint's instances by variant.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html

        :raises LoadError: when the call fails
        """
        try:
            if self._sagemaker is None:
                self._sagemaker = self._session.create_client("sagemaker", config=Config(read_timeout=10))
            endpoint = self._sagemaker.describe_endpoint(EndpointName=endpoint_name)
        except (BotoCoreError, ClientError) as error:
            raise LoadError(f"Cannot describe the endpoint {endpoint_name}: {error}") from error
        return {
            variant["VariantName"]: variant.get("CurrentInstanceCount", 0)
            for variant in endpoint.get("ProductionVariants", [])
        }
