"""Clients that are made before the processes of tasks are forked, without credentials and without connections.

boto3 takes 5 to 10 ms of CPU for a client, mostly for the methods of its class, its handlers and the rules of its
endpoints, and the tasks of a release need forty. A process takes each of these clients once, and with it gives it the
credentials of its own session.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Hashable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials, ReadOnlyCredentials

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.config import Config
    from botocore.model import OperationModel, Shape

log = logging.getLogger(__name__)


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


def prepare(service: str, session: Any, config: Config, operations: Iterable[str] = ()) -> None:
    """Make a client for the processes that are forked from this one.

    :param service: boto3's name of it
    :param session: botocore's session that nobody else uses, with a region
    :param config: of the client; it makes a difference to no other member than the end of the user agent
    :param operations: that a process calls, by AWS's names; they are rehearsed
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
    rehearsal = _Rehearsal(made)
    later.given = Credentials("none", "none")
    for operation in operations:
        rehearsal.call(operation)
    later.given = None
    _ready[_key(service, session.get_config_variable("region"), session.profile)] = made, later


class _Rehearsal:
    """Calls operations as far as the connection, and gives an empty answer in the place of AWS's.

    With its first call of an operation a client reads the shapes of its parameters and its answer, renames some twenty
    events and works its endpoint out: a millisecond of CPU, more than the next call takes. The handler stays and does
    nothing, because a client forgets which handlers its events have when one is taken away.
    https://docs.aws.amazon.com/boto3/latest/guide/events.html

    :param client: of boto3
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._model: OperationModel | None = None
        client.meta.events.register_first("before-send", self._answer)

    def call(self, operation: str) -> None:
        """Rehearse an operation, by AWS's name of it."""
        try:
            self._model = self._client.meta.service_model.operation_model(operation)
            getattr(self._client, xform_name(operation))(**_least(self._model.input_shape))
        except Exception:
            log.debug("%s could not be rehearsed; its first call prepares it", operation, exc_info=True)
        finally:
            self._model = None

    def _answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        if self._model is None:
            return None
        name, protocol = self._model.name, self._model.service_model.resolved_protocol
        xml = f"<{name}Response><{name}Result/></{name}Response>"
        return AWSResponse(request.url, 200, HTTPHeaders(), _Body(b"{}" if "json" in protocol else xml.encode()))


class _Body(io.BytesIO):
    """The body of an answer, as urllib3 gives it."""

    def stream(self, amt: int = -1, decode_content: bool | None = None) -> Iterable[bytes]:
        yield self.read()


def _least(shape: Shape | None) -> Any:
    """Return the smallest parameter of a shape that botocore lets pass."""
    if shape is None:
        return {}
    match shape.type_name:
        case "structure":
            return {name: _least(shape.members[name]) for name in shape.required_members}  # type: ignore[attr-defined]
        case "list":
            return [_least(shape.member)]  # type: ignore[attr-defined]
        case "map":
            return {}
        case "string":
            return "x" * max(3, shape.metadata.get("min", 0))
        case "timestamp":
            return datetime.now(UTC)
        case "blob":
            return b""
        case "boolean":
            return False
        case _:
            return max(1, shape.metadata.get("min", 1))


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
