"""Clients that are made before the processes of tasks are forked, without credentials and without connections.

boto3 takes 5 to 10 ms of CPU for a client, mostly for the methods of its class, its handlers and the rules of its
endpoints, and the tasks of a release need forty. A process takes each of these clients once, and with it gives it the
credentials of its own session.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from botocore.credentials import Credentials, ReadOnlyCredentials

if TYPE_CHECKING:
    from botocore.config import Config


class _Later(Credentials):
    """Credentials that a client is given when a process takes it; a role's are renewed by their own session."""

    given: Credentials | None = None

    def __init__(self) -> None:
        super().__init__("", "")

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return what the next request is signed with."""
        if self.given is None:
            raise RuntimeError("nobody has taken this client")
        return self.given.get_frozen_credentials()


# By service, region, profile, and what the environment says about AWS.
_ready: dict[Hashable, tuple[Any, _Later]] = {}


def prepare(service: str, session: Any, config: Config) -> None:
    """Make a client for the processes that are forked from this one.

    :param service: boto3's name of it
    :param session: botocore's session that nobody else uses, with a region
    :param config: of the client; it makes a difference to no other member than the end of the user agent
    """
    import boto3.session

    later = _Later()
    session._credentials = later
    maker: Any = boto3.session.Session(botocore_session=session)
    made = maker.client(service, config=config)
    # What its paginators need is read when a client is first asked for one.
    made.can_paginate(next(iter(made.meta.method_to_api_mapping)))
    # What its first error needs, such as that something is not there.
    made.exceptions  # noqa: B018
    _ready[_key(service, session.get_config_variable("region"), session.profile)] = made, later


def take(service: str, session: Any, config: Any) -> Any:
    """Return a client that was prepared and nobody has taken; None if there is none.

    :param service: boto3's name of it
    :param session: boto3's session whose credentials and region the client is to have
    :param config: as ``prepare`` was given it, but for the end of the user agent
    """
    credentials = session.get_credentials()
    key = _key(service, session.region_name, session._session.profile)
    found = _ready.pop(key, None) if credentials else None
    if found is None:
        return None
    client, later = found
    later.given = credentials
    client.meta.config.user_agent_extra = config.user_agent_extra
    return client


def _key(service: str, region: str | None, profile: str | None) -> Hashable:
    said = tuple((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
    return service, region, profile, said
