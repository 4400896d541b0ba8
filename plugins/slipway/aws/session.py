"""What every hook shares: whatever of botocore is the same for all and takes long to make."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import botocore.loaders
import botocore.session
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook, SessionFactory
from botocore.hooks import HierarchicalEmitter

# A session has a loader of its own, and each would parse its services' descriptions again.
# https://docs.aws.amazon.com/boto3/latest/guide/loaders.html
_LOADER = botocore.loaders.Loader()
# What a release calls.
_SERVICES = (
    *("s3", "sagemaker", "sagemaker-runtime", "cloudformation", "sts", "sns", "logs", "cloudwatch"),
    "application-autoscaling",
)


class _Factory(SessionFactory):  # type: ignore[misc,valid-type]
    """Makes sessions as `[aws] session_factory` says, out of parts that are there already."""

    def _create_basic_session(self, session_kwargs: dict[str, Any]) -> Any:
        return super()._create_basic_session({"botocore_session": _bare_session(), **session_kwargs})


@cache
def _builtin_handlers() -> HierarchicalEmitter:
    """Register botocore's own handlers: some hundred, each of which is inspected."""
    emitter = HierarchicalEmitter()
    botocore.session.Session(event_hooks=emitter)
    return emitter


def _bare_session() -> botocore.session.Session:
    return botocore.session.Session(event_hooks=copy.copy(_builtin_handlers()), include_builtin_handlers=False)


class AwsHook(AwsGenericHook[Any]):
    """A hook whose sessions and clients are its own, and share what is the same for all.

    A task makes several, and each would otherwise take a tenth of a second. A subclass names its ``service`` as boto3
    does.
    """

    service: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if self.service:
            kwargs["client_type"] = self.service
        super().__init__(*args, **kwargs)

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> Any:
        """Make a session.

        :param region_name: instead of the connection's
        :param deferrable: whether its clients are aiobotocore's
        :returns: boto3's session, or aiobotocore's
        """
        factory = _Factory(conn=self.conn_config, region_name=region_name, config=self.config)
        session: Any = factory.create_session(deferrable=deferrable)
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
    session = _bare_session()
    session.register_component("data_loader", _LOADER)
    # No call is made: these keep botocore from looking for credentials, on an instance by the network.
    session.set_credentials("none", "none")
    for service in _SERVICES:
        session.create_client(service, region_name="us-east-1").close()
