"""Who is changing something through Airflow's API: a person, or a task."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from airflow.api_fastapi.execution_api.security import _REQUEST_SCOPE_TOKEN_KEY as TOKEN_KEY
from fastapi import HTTPException, Request
from fastapi.security import HTTPBearer

from slipway.guard.matched_route import Route

_bearer_scheme = HTTPBearer(auto_error=False)
# What the simple auth manager and Flask-AppBuilder call the role that may do everything.
_ADMINISTRATOR = "admin"


@dataclass(frozen=True)
class Caller:
    """One request's author.

    :param name: the Airflow user's name; None if nobody is logged in, and for requests that only read
    :param route: the endpoint that the request has reached
    :param administrator: whether the auth manager gives the user the role admin
    :param deletes: the DAGs that this request has been allowed to delete
    """

    name: str | None
    route: Route = field(default_factory=Route)
    administrator: bool = False
    deletes: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return self.name or "somebody who is not logged in"


@dataclass(frozen=True)
class TaskCaller:
    """One request that a task makes, by the token that Airflow gave it.

    :param scope: the request's ASGI scope, in which Airflow keeps the token once it has checked it
    """

    scope: Mapping[str, Any]

    @property
    def name(self) -> None:
        """None: a task is no person, so it is no approver."""
        return None

    @property
    def task_instance_id(self) -> UUID | None:
        """The task instance that the token names; None without a valid token."""
        token = self.scope.get(TOKEN_KEY)
        return token.id if token else None

    def __str__(self) -> str:
        return f"task instance {self.task_instance_id}"


# None in the scheduler, the triggerer and command lines: no answer comes from there.
current_caller: ContextVar[Caller | TaskCaller | None] = ContextVar("slipway_caller", default=None)


async def identify(request: Request) -> Caller:
    """Find out who calls, as Airflow's own routes do.

    The name counts, as in model files: with some auth managers a user's id is a number.
    https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/auth-manager/index.html

    :param request: the request
    :returns: the caller; without a name if the request has no valid token: its route then refuses it
    """
    from airflow.api_fastapi.core_api.security import get_user

    route = Route(request.scope)
    try:
        user = await get_user(request, None, await _bearer_scheme(request))
    except HTTPException:
        return Caller(None, route)
    return Caller(user.get_name(), route, is_administrator(user))


def is_administrator(user: Any) -> bool:
    """Tell whether a user has the role admin, with the simple auth manager or with Flask-AppBuilder.

    :param user: the auth manager's user
    :returns: False also if the auth manager has no such role
    """
    names = [getattr(user, "role", None), *(getattr(role, "name", None) for role in getattr(user, "roles", None) or ())]
    return _ADMINISTRATOR in {str(name).lower() for name in names}
