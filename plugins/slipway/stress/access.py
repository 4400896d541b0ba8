"""Give the load engine access to AWS through an Airflow connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient, without_patience
from slipway.aws.sagemaker import SageMakerHook
from slipway.aws.session import AwsHook
from slipway.errors import AwsError
from slipway.load.errors import LoadError
from slipway.load.signing import Target


class EndpointLoadHook(AwsHook):
    """Find where endpoints are invoked, and with what credentials.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "sagemaker-runtime"
        super().__init__(*args, **kwargs)

    @patient
    def target(self, endpoint_name: str, variant: str | None) -> Target:
        """Return where an endpoint is invoked.

        :param endpoint_name: the endpoint
        :param variant: TargetVariant
        :raises slipway.errors.AwsError: when the connection has no region, or no credentials
        """
        with aws_call("find where the endpoint is invoked", endpoint_name):
            meta = self.conn.meta
        return Target(meta.endpoint_url, meta.region_name, meta.service_model.signing_name, endpoint_name, variant)

    @patient
    def credentials(self) -> ReadOnlyCredentials:
        """Return valid credentials; those of a role are renewed before they expire.

        :raises slipway.errors.AwsError: when there are none
        """
        with aws_call("get the credentials", self.aws_conn_id or "no connection"):
            found = self._airflow_session.get_credentials()
            if found is None:
                raise NoCredentialsError
            return found.get_frozen_credentials()

    @cached_property
    def _airflow_session(self) -> Any:
        return self.get_session()


class HookAccess:
    """Access to AWS for the load engine; calls are not retried, because the engine repeats them itself.

    :param aws_conn_id: Airflow connection with the AWS credentials
    """

    def __init__(self, aws_conn_id: str | None) -> None:
        self._runtime = EndpointLoadHook(aws_conn_id=aws_conn_id)
        self._sagemaker = SageMakerHook(aws_conn_id=aws_conn_id)

    def target(self, endpoint_name: str, variant: str | None) -> Target:
        """Return where an endpoint is invoked.

        :raises LoadError: when the call fails
        """
        with _for_engine():
            return self._runtime.target(endpoint_name, variant)

    def credentials(self) -> ReadOnlyCredentials:
        """Return valid credentials.

        :raises LoadError: when there are none
        """
        with _for_engine():
            return self._runtime.credentials()

    def instances(self, endpoint_name: str) -> dict[str, int]:
        """Count an endpoint's instances by variant.

        :raises LoadError: when the call fails
        """
        with _for_engine():
            endpoint = self._sagemaker.describe_endpoint(endpoint_name) or {}
        return {
            variant["VariantName"]: variant.get("CurrentInstanceCount", 0)
            for variant in endpoint.get("ProductionVariants", ())
        }


@contextmanager
def _for_engine() -> Iterator[None]:
    try:
        with without_patience():
            yield
    except AwsError as error:
        raise LoadError(error.problem, fix=error.fix) from error
