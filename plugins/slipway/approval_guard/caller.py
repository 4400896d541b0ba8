"""Who is changing something through Airflow's API."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from fastapi import HTTPException, Request
from fastapi.security import HTTPBearer

_bearer_scheme = HTTPBearer(auto_error=False)


@dataclass(frozen=True)
class Caller:
    """One request's author.

    :param name: the Airflow user's name; None where nobody is logged in
    :param marked: DAG id, run id and task id where the request's path names one task whose state it sets
    """

    name: str | None
    marked: tuple[str, str, str] | None = None

    def __str__(self) -> str:
        return self.name or "somebody who is not logged in"


# Not set: the scheduler, a worker's execution API, a command line. They decide nothing: no answer comes from there.
current: ContextVar[Caller | None] = ContextVar("slipway_caller", default=None)


async def identify(request: Request) -> str | None:
    """Find out who calls, as the routes of Airflow's own do.

    Names are what model files have: user ids are numbers with some auth managers.
    https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/auth-manager/index.html

    :param request: the request
    :returns: the user's name; None where the request carries no valid token, and its route will refuse it
    """
    from airflow.api_fastapi.core_api.security import get_user

    try:
        user = await get_user(request, None, await _bearer_scheme(request))
    except HTTPException:
        return None
    return user.get_name()
