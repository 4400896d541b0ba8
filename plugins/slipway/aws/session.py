"""The base of all hooks; the hooks of a process share what is slow to make and the same for all."""

from __future__ import annotations

import copy
import logging
import os
import threading
import time
from collections.abc import Hashable
from functools import cache, cached_property
from typing import Any
from weakref import WeakKeyDictionary

import botocore.loaders
import botocore.session
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook, BaseSessionFactory, SessionFactory
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
from airflow.sdk.configuration import conf
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.hooks import HierarchicalEmitter

from slipway.aws import prepared
from slipway.aws.request_metrics import count_requests

# Each session would make its own loader, which parses the services' descriptions again.
# https://docs.aws.amazon.com/boto3/latest/guide/loaders.html
_LOADER = botocore.loaders.Loader()
# The services that a release calls.
_SERVICES = (
    *("s3", "sagemaker", "sagemaker-runtime", "cloudformation", "sts", "sns", "logs", "cloudwatch"),
    *("application-autoscaling", "ecr", "resourcegroupstaggingapi"),
)
# The ARN of the session of the role that a session's credentials are of; none for other credentials.
_assumed: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
# How long new hooks share a connection's session. Then the connection and its credentials are read again, which counts
# in processes that live long, such as the triggerer.
SHARED_SECONDS = 60.0


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

    # The ARN of the session of a role that was assumed; None without one.
    assumed: str | None = None
    # Whether the connection says how clients are made.
    configured = False

    def _create_basic_session(self, session_kwargs: dict[str, Any]) -> Any:
        bare = _bare_session()
        _trace(bare)
        return super()._create_basic_session({"botocore_session": bare, **session_kwargs})

    def _create_session_with_assume_role(self, session_kwargs: dict[str, Any], deferrable: bool = False) -> Any:
        if deferrable or self.conn.assume_role_method != "assume_role":
            return super()._create_session_with_assume_role(session_kwargs, deferrable)
        # As the provider does it, but its session would register botocore's handlers again.
        session: Any = _bare_session()
        session._credentials = RefreshableCredentials.create_from_metadata(
            metadata=self._refresh_credentials(), refresh_using=self._refresh_credentials, method="sts-assume-role"
        )
        session.set_config_variable("region", self.basic_session.region_name)
        return super()._create_basic_session({"botocore_session": session, **session_kwargs})

    def _refresh_credentials(self) -> dict[str, Any]:
        own = self.configured or self.conn.get_service_endpoint_url("sts", sts_connection_assume=True)
        usual = not own and self.conn.assume_role_method == "assume_role"
        client = _take("sts", self.basic_session, Config()) if usual else None
        if client is None:
            return super()._refresh_credentials()
        found = self._assume_role(client)["Credentials"]
        names = {"access_key": "AccessKeyId", "secret_key": "SecretAccessKey", "token": "SessionToken"}
        return {mine: found[name] for mine, name in names.items()} | {"expiry_time": found["Expiration"].isoformat()}

    def _assume_role(self, sts_client: Any) -> dict[str, Any]:
        answer: dict[str, Any] = super()._assume_role(sts_client)
        self.assumed = answer["AssumedRoleUser"]["Arn"]
        return answer


@cache
def _builtin_handlers() -> HierarchicalEmitter:
    """Register botocore's own handlers once: there are about a hundred, and each is inspected."""
    emitter = HierarchicalEmitter()
    botocore.session.Session(event_hooks=emitter)
    return emitter


@cache
def _user_agent() -> str:
    """Return botocore's own text about its version, Python and the machine."""
    return _bare_session().user_agent()


def _bare_session() -> botocore.session.Session:
    session = botocore.session.Session(event_hooks=copy.copy(_builtin_handlers()), include_builtin_handlers=False)
    session.register_component("data_loader", _LOADER)
    return session


def _trace(session: Any) -> None:
    """Have the calls of a session traced, if Airflow traces; otherwise nothing of it is imported."""
    if conf.getboolean("traces", "otel_on", fallback=False):
        from slipway.aws.tracing import watch

        watch(session)


def _take(service: str, session: Any, config: Any) -> Any:
    """Take a prepared client, which is traced as the clients that a session makes are; None if there is none."""
    client = prepared.take(service, session, config)
    if client is not None:
        _trace(client.meta.events)
    return client


class _Shared:
    """What the hooks of one connection share.

    :param connection: as Airflow has it
    """

    def __init__(self, connection: AwsConnectionWrapper) -> None:
        self.connection = connection
        self.made = time.monotonic()
        # Threads may share clients, and may not make them at once:
        # https://docs.aws.amazon.com/boto3/latest/guide/session.html#multithreading-or-multiprocessing-with-sessions
        self.making = threading.RLock()
        self.sessions: dict[str | None, Any] = {}
        self.clients: dict[Hashable, Any] = {}


# By connection and environment.
SHARED: dict[Hashable, _Shared] = {}
# A connection to AWS belongs to one process.
os.register_at_fork(after_in_child=SHARED.clear)


def forget_shared() -> None:
    """Have new hooks read connections and credentials again at once: those that are shared were refused."""
    SHARED.clear()


class AwsHook(AwsGenericHook[Any]):
    """A hook that shares its session and its client with the other hooks of its connection, for a minute.

    A task makes several hooks. With a session each, half of its CPU time went into sessions, and a third of its calls
    assumed the connection's role. A subclass sets ``service`` to boto3's name of its service.
    """

    service: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if self.service:
            kwargs["client_type"] = self.service
        super().__init__(*args, **kwargs)

    @cached_property
    def conn_config(self) -> AwsConnectionWrapper:
        """The connection, with what this hook has of its own."""
        return AwsConnectionWrapper(
            conn=self._shared.connection,
            region_name=self._region_name,
            botocore_config=self._config,
            verify=self._verify,
        )

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> Any:
        """Return the session of the connection; one of aiobotocore is made anew each time.

        :param region_name: instead of the connection's
        :param deferrable: whether its clients are aiobotocore's
        :returns: boto3's session, or aiobotocore's
        """
        region_name = region_name or self.region_name
        if deferrable:
            return self._new_session(region_name, deferrable=True)
        shared = self._shared
        with shared.making:
            if region_name not in shared.sessions:
                shared.sessions[region_name] = self._new_session(region_name)
            return shared.sessions[region_name]

    def get_client_type(self, region_name: str | None = None, config: Any = None, deferrable: bool = False) -> Any:
        """Return the client of the connection; one with a configuration, or of aiobotocore, is made anew each time."""
        if deferrable or config or self._config:
            return super().get_client_type(region_name, config, deferrable)
        shared = self._shared
        key = (self.client_type, region_name or self.region_name, self._verify)
        with shared.making:
            if key not in shared.clients:
                shared.clients[key] = self._prepared(region_name) or super().get_client_type(region_name)
            return shared.clients[key]

    def _prepared(self, region_name: str | None) -> Any:
        """Take a client that was made before this process was forked; None where the connection says how to make it."""
        given = self.conn_config.botocore_config or self.conn_config.get_service_endpoint_url(self.service_name)
        if given or self.verify is not None:
            return None
        client = _take(self.service_name, self.get_session(region_name), self._get_config())
        if client is not None:
            count_requests(client.meta.events)
        return client

    @cached_property
    def _shared(self) -> _Shared:
        """What the hooks of the connection share, as long as the environment says the same about it."""
        said = tuple((name, value) for name, value in os.environ.items() if name.startswith(("AWS_", "AIRFLOW_CONN_")))
        key = (self.aws_conn_id, said)
        found = SHARED.get(key)
        if found is None or time.monotonic() - found.made > SHARED_SECONDS:
            # The provider's property reads the connection. No lock: in the triggerer the event loop may have to help.
            found = SHARED[key] = _Shared(AwsGenericHook(aws_conn_id=self.aws_conn_id).conn_config)
        return found

    def _new_session(self, region_name: str | None, deferrable: bool = False) -> Any:
        factory = _Factory(conn=self.conn_config, region_name=region_name, config=self.config)
        factory.configured = bool(self.conn_config.botocore_config)
        session: Any = factory.create_session(deferrable=deferrable)
        # boto3's session wraps botocore's, which it does not show; aiobotocore's is one.
        core = getattr(session, "_session", session)
        core.register_component("data_loader", _LOADER)
        count_requests(core)
        _trace(core)
        if factory.assumed and not deferrable:
            _assumed[session] = factory.assumed
        return session

    def _get_config(self, config: Config | None = None) -> Config:
        made: Config = super()._get_config(config)
        # A client without it puts its user agent together for each call, twice: a fifth of the call's CPU time.
        # https://docs.aws.amazon.com/botocore/latest/reference/config.html
        return made if getattr(made, "user_agent", None) else made.merge(Config(user_agent=_user_agent()))

    def _get_caller(self, target_function_name: str = "execute") -> str:
        # For this word of the user agent the provider reads the source of every frame of the stack, each time a client
        # is made: a third of the time that a task of a release takes.
        return "Slipway"


def assumed_role(session: Any) -> str | None:
    """Return the ARN of the session of the role that a session's credentials are of; None if they are of none.

    AssumeRole answers with the same ARN that GetCallerIdentity would.
    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumedRoleUser.html

    :param session: of a hook
    """
    return _assumed.get(session)


@cache
def load_service_models() -> None:
    """Parse the descriptions of the services, and make clients, once for all processes forked from this one."""
    config = Config(user_agent=_user_agent())
    for service in _SERVICES:
        session = _bare_session()
        # Somebody else's session may have handlers of its own, which its clients copy.
        if session.get_config_variable("region") and SessionFactory is BaseSessionFactory:
            prepared.prepare(service, session, config)
        else:
            # No call is made: with these botocore does not look for credentials, which may use the network.
            session.set_credentials("none", "none")
            session.create_client(service, region_name="us-east-1").close()
