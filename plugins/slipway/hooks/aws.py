"""What every hook shares: the descriptions of AWS's services, read and parsed once for each process."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.loaders
import botocore.session
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

# A session has a loader of its own, and each would parse its services' descriptions again. That takes a tenth of a
# second for most, and a task has several clients.
# https://docs.aws.amazon.com/boto3/latest/guide/loaders.html
_LOADER = botocore.loaders.Loader()
# What a release calls.
_SERVICES = (
    *("s3", "sagemaker", "sagemaker-runtime", "cloudformation", "sts", "sns", "logs", "cloudwatch"),
    "application-autoscaling",
)


class AwsHook(AwsGenericHook[Any]):
    """A hook whose clients share the descriptions of AWS's services, and nothing else."""

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> Any:
        """Make a session.

        :param region_name: instead of the connection's
        :param deferrable: whether its clients are aiobotocore's
        :returns: boto3's session, or aiobotocore's
        """
        session: Any = super().get_session(region_name=region_name, deferrable=deferrable)
        # boto3's session wraps botocore's, which it does not show; aiobotocore's is one.
        core = getattr(session, "_session", session)
        core.register_component("data_loader", _LOADER)
        return session

    def _get_caller(self, target_function_name: str = "execute") -> str:
        # The provider reads the source around every frame of the stack for this word of the user agent, each time a
        # client is made: a third of all that a task of a release does.
        return "Slipway"


@cache
def load_service_models() -> None:
    """Parse the descriptions of the services now, so that processes forked from this one have them.

    Once: Airflow loads plugins in each of those again.
    """
    session = botocore.session.get_session()
    session.register_component("data_loader", _LOADER)
    # No call is made: these keep botocore from looking for credentials, on an instance by the network.
    session.set_credentials("none", "none")
    for service in _SERVICES:
        session.create_client(service, region_name="us-east-1").close()
