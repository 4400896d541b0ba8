"""Access to AWS: where an endpoint is invoked, with what credentials, and how many instances it has."""

from __future__ import annotations

from typing import Any, Protocol

import botocore.session
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from slipway.load.errors import LoadError
from slipway.load.signing import Target


class Access(Protocol):
    """What the engine needs from AWS."""

    def target(self, endpoint_name: str, variant: str | None) -> Target:
        """Return where an endpoint is invoked."""

    def credentials(self) -> ReadOnlyCredentials:
        """Return valid credentials."""

    def instances(self, endpoint_name: str) -> dict[str, int]:
        """Count an endpoint's instances by variant."""


class SessionAccess:
    """Access through a botocore session, which renews its credentials itself.

    :param session: None for a session of the caller's own settings
    """

    def __init__(self, session: botocore.session.Session | None = None) -> None:
        self._session = session or botocore.session.get_session()
        self._sagemaker: Any = None

    def target(self, endpoint_name: str, variant: str | None) -> Target:
        """Return where an endpoint is invoked.

        :param endpoint_name: the endpoint
        :param variant: TargetVariant
        :raises LoadError: when no region is configured, or the settings are wrong
        """
        try:
            meta = self._session.create_client("sagemaker-runtime").meta
        except (BotoCoreError, ClientError) as error:
            raise LoadError(f"Cannot find where {endpoint_name} is invoked: {error}") from error
        model = meta.service_model
        return Target(meta.endpoint_url, meta.region_name, model.signing_name, endpoint_name, variant)

    def credentials(self) -> ReadOnlyCredentials:
        """Return valid credentials.

        :raises LoadError: when there are none, or the role cannot be assumed
        """
        try:
            found = self._session.get_credentials()
            if found is None:
                raise LoadError("There are no AWS credentials", fix="set AWS_PROFILE or other AWS settings")
            return found.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise LoadError(f"Cannot get the AWS credentials: {error}") from error

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
