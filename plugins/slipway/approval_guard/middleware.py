"""The guard's place in Airflow's API server: a middleware around all of its routes."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette._utils import get_route_path

from slipway.approval_guard import caller, flush, paths
from slipway.errors import UnsafeConfiguration

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# Workers' own API, whose tokens name tasks and not people.
_EXECUTION_API = "/execution"


class ApprovalGuard:
    """Tells the flush who is calling, and refuses what it cannot see.

    Airflow builds its middlewares when the API server starts: what is raised here keeps it from starting, while an
    error of a plugin that is loaded is only shown.

    :param app: the rest of the API server
    :raises UnsafeConfiguration: when Airflow takes everybody for the same user
    """

    def __init__(self, app: ASGIApp) -> None:
        if conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False):
            raise UnsafeConfiguration(
                "Approvals cannot be guarded",
                resource="[core] simple_auth_manager_all_admins",
                why="it makes every caller the same administrator, so that nobody could tell who approved",
                fix="set AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=False and let people log in",
            )
        flush.install()
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; see https://asgi.readthedocs.io/en/latest/specs/www.html."""
        if scope["type"] != "http" or scope["method"] in _READING:
            return await self.app(scope, receive, send)
        method, path = scope["method"], get_route_path(scope)
        if path.startswith(f"{_EXECUTION_API}/"):
            return await self.app(scope, receive, send)
        calling = caller.Caller(await caller.identify(Request(scope)), paths.marked(method, path))
        token = caller.current.set(calling)
        try:
            if paths.needs_check(method, path) and (why := await run_in_threadpool(paths.refusal, path, calling)):
                return await _answer(HTTPStatus.FORBIDDEN, why)(scope, receive, send)
            if question := paths.answered(method, path):
                return await self.app(scope, receive, _Naming(question, scope, receive, send))
            return await self.app(scope, receive, send)
        finally:
            caller.current.reset(token)


class _Naming:
    """Passes an answer on; where Airflow says only that somebody was first, says who."""

    def __init__(self, question: Any, scope: Scope, receive: Receive, send: Send) -> None:
        self.question = question
        self.scope, self.receive, self.send = scope, receive, send
        self.first: str | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.CONFLICT:
            self.first = await run_in_threadpool(paths.who_was_first, self.question)
            if self.first:
                await _answer(HTTPStatus.CONFLICT, self.first)(self.scope, self.receive, self.send)
        if self.first is None:
            await self.send(message)


def _answer(status: HTTPStatus, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)
