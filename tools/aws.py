"""boto3 clients for the local AWS of one instance."""

from __future__ import annotations

from typing import Any

from tools.environment import admin_variables, aws_variables
from tools.settings import Settings


def client(settings: Settings, service: str) -> Any:
    """Return the operator's client for the local AWS, whatever the caller's own AWS settings are."""
    return _client(aws_variables(settings), service)


def admin_client(settings: Settings, service: str) -> Any:
    """Return the administrator's client, for the set-up stacks only."""
    return _client(admin_variables(settings), service)


def _client(variables: dict[str, str], service: str) -> Any:
    # Imported here: it takes half a second, which 'make down' and 'make status' do not need.
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,  # type: ignore[call-overload]  # its overloads list the services by literal name
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_DEFAULT_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(proxies={}, retries={"mode": "standard", "max_attempts": 5}),
    )
