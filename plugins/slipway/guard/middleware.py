"""The guard's place in Airflow's API server: a middleware around all of its routes."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette._utils import get_route_path
from starlette.datastructures import MutableHeaders

from slipway.errors import UnsafeConfiguration
from slipway.guard import answers, self_test
from slipway.guard.caller import Caller, TaskCaller, current_caller, identify
from slipway.guard.flush import guard_flushes
from slipway.guard.routes import Route, has_control_character
from slipway.guard.writes import guard_statements
from slipway.signed import proofs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# Workers' own API, whose tokens name tasks and not people.
_EXECUTION_API = "/execution"
_NO_PAGE = "A path with a control character leads to no page of Airflow's."
# No other site may show Airflow's pages in a frame and have somebody click on Approve there.
# https://cheatsheetseries.owasp.org/cheatsheets/Clickjacking_Defense_Cheat_Sheet.html
_HEADERS = {
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
}


class ApprovalGuard:
    """Tells the listeners who is calling, and refuses every change while they do not refuse a forged one.

    Airflow builds its middlewares when the API server starts: what is raised here keeps it from starting, while an
    error of a plugin that is loaded is only shown.

    :param app: the rest of the API server
    :raises UnsafeConfiguration: when Airflow takes everybody for the same user, or there is no key to sign with
    """

    def __init__(self, app: ASGIApp) -> None:
        if conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False):
            raise UnsafeConfiguration(
                "Approvals cannot be guarded",
                resource="[core] simple_auth_manager_all_admins",
                why="it makes every caller the same administrator, so that nobody could tell who approved",
                fix="set AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=False and let people log in",
            )
        # Without its key no answer could be signed.
        proofs.signer()
        guard_flushes()
        guard_statements()
        self.app = app
        self._proved = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; see https://asgi.readthedocs.io/en/latest/specs/www.html."""
        if scope["type"] == "lifespan":
            await self._why_unproved()
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        send = _Headed(send)
        if has_control_character(scope):
            return await _answer(HTTPStatus.BAD_REQUEST, _NO_PAGE)(scope, receive, send)
        reads = scope["method"] in _READING
        if not reads and (why := await self._why_unproved()):
            return await _answer(HTTPStatus.SERVICE_UNAVAILABLE, why)(scope, receive, send)
        token = current_caller.set(caller := await _caller_of(scope, reads=reads))
        try:
            await self.app(scope, receive, _Told(caller, scope, receive, send))
        finally:
            current_caller.reset(token)

    async def _why_unproved(self) -> str | None:
        """:returns: why nothing may be changed now; None once a forged change has been refused in this process"""
        if self._proved:
            return None
        why = await run_in_threadpool(self_test.failure)
        self._proved = why is None
        if why is None:
            return None
        log.error("The approval guard is not active, and every change is refused: %s", why)
        return f"Nothing can be changed, for the approval guard is not active: {why}"


async def _caller_of(scope: Scope, *, reads: bool) -> Caller | TaskCaller:
    if f"{get_route_path(scope)}/".startswith(f"{_EXECUTION_API}/"):
        return TaskCaller(scope)
    # A request that reads changes nothing in anybody's name.
    return Caller(None, Route(scope)) if reads else await identify(Request(scope))


class _Headed:
    """Passes an answer on with the headers that it lacks."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


class _Told:
    """Passes an answer on, or puts one in its place that says more."""

    def __init__(self, caller: Caller | TaskCaller, scope: Scope, receive: Receive, send: Send) -> None:
        self._caller = caller
        self._scope, self._receive, self._send = scope, receive, send
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and isinstance(self._caller, Caller):
            status = HTTPStatus(message["status"])
            if answers.may_replace(self._caller.route, status):
                await self._replace(await run_in_threadpool(answers.replacement, self._caller, status))
        if not self._replaced:
            await self._send(message)

    async def _replace(self, answer: tuple[HTTPStatus, str] | None) -> None:
        if answer:
            self._replaced = True
            await _answer(*answer)(self._scope, self._receive, self._send)


def _answer(status: HTTPStatus, detail: str) -> Any:
    return JSONResponse({"detail": detail}, status)
