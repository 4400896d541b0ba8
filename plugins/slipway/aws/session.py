"""The base of all hooks; it shares what is slow to make in botocore and the same for all."""

from __future__ import annotations

import copy
import logging
from functools import cache
from typing import Any

import botocore.loaders
import botocore.session
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook, SessionFactory
from botocore.hooks import HierarchicalEmitter

# Each session would make its own loader, which parses the services' descriptions again.
# https://docs.aws.amazon.com/boto3/latest/guide/loaders.html
_LOADER = botocore.loaders.Loader()
# The services that a release calls.
_SERVICES = (
    *("s3", "sagemaker", "sagemaker-runtime", "cloudformation", "sts", "sns", "logs", "cloudwatch"),
    *("application-autoscaling", "resourcegroupstaggingapi"),
)


def _quieten() -> None:
    """Leave out of a task's log where each client's credentials and endpoints come from; that was half of it.

    A level that the logging configuration sets for them stays.
    https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/advanced-logging-configuration.html
    """
    for logger in map(logging.getLogger, ("botocore", "aiobotocore")):
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)


_quieten()


class _Factory(SessionFactory):  # type: ignore[misc,valid-type]
    """Makes sessions from shared parts; `[aws] session_factory` still counts."""

    def _create_basic_session(self, session_kwargs: dict[str, Any]) -> Any:
        return super()._create_basic_session({"botocore_session": _bare_session(), **session_kwargs})


@cache
def _builtin_handlers() -> HierarchicalEmitter:
    """Register botocore's own handlers once: there are about a hundred, and each is inspected."""
    emitter = HierarchicalEmitter()
    botocore.session.Session(event_hooks=emitter)
    return emitter


def _bare_session() -> botocore.session.Session:
    return botocore.session.Session(event_hooks=copy.copy(_builtin_handlers()), include_builtin_handlers=False)


class AwsHook(AwsGenericHook[Any]):
    """A hook whose sessions share what is the same for all; without that each one takes a tenth of a second.

    A subclass sets ``service`` to boto3's name of its service.
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
        # For this word of the user agent the provider reads the source of every frame of the stack, each time a client
        # is made: a third of the time that a task of a release takes.
        return "Slipway"


@cache
def load_service_models() -> None:
    """Parse the descriptions of the services once, so that processes forked from this one have them."""
    session = _bare_session()
    session.register_component("data_loader", _LOADER)
    # No call is made: with these botocore does not look for credentials, which may use the network.
    session.set_credentials("none", "none")
    for service in _SERVICES:
        session.create_client(service, region_name="us-east-1").close()
