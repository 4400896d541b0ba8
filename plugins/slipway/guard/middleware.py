"""The guard's middleware, around all routes of Airflow's API server."""

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
from slipway.guard import replies, self_test
from slipway.guard.bodies import read_body, text_problem
from slipway.guard.caller import Caller, TaskCaller, current_caller, identify
from slipway.guard.flush import guard_flushes
from slipway.guard.locked import LockedDatabase
from slipway.guard.matched_route import Route, has_control_character
from slipway.guard.origins import foreign_page
from slipway.guard.writes import guard_statements
from slipway.signed import proofs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# The workers' API: its tokens name tasks, not people.
_EXECUTION_API = "/execution"
_NO_PAGE = "No page of Airflow has a path with a control character."
# No other site may show Airflow's pages in a frame and have somebody click on Approve there.
# https://cheatsheetseries.owasp.org/cheatsheets/Clickjacking_Defense_Cheat_Sheet.html
_HEADERS = {
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
}


class ApprovalGuard:
    """Finds out who is calling; refuses other sites' pages, and every change until the guard has passed its own test.

    Airflow builds its middlewares when the API server starts. An error here keeps it from starting; an error in a
    plugin that is loaded would only be shown.

    :param app: the rest of the API server
    :raises UnsafeConfiguration: when all callers are the same user to Airflow, or there is no signing key
    """

    def __init__(self, app: ASGIApp) -> None:
        if conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False):
            raise UnsafeConfiguration(
                "Approvals cannot be guarded",
                resource="[core] simple_auth_manager_all_admins",
                why="it makes every caller the same administrator, so nobody could tell who approved",
                fix="set AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=False and let people log in",
            )
        # Without its key no answer could be signed.
        proofs.signer()
        guard_flushes()
        guard_statements()
        self.app = LockedDatabase(app)
        self._proved = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; see https://asgi.readthedocs.io/en/latest/specs/www.html."""
        if scope["type"] == "lifespan":
            await self._why_unproved()
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        send = _HeaderSender(send)
        if has_control_character(scope):
            return await _answer(HTTPStatus.BAD_REQUEST, _NO_PAGE)(scope, receive, send)
        reads = scope["method"] in _READING
        if not reads and (why := foreign_page(scope)):
            return await _answer(HTTPStatus.FORBIDDEN, why)(scope, receive, send)
        if not reads and (why := await self._why_unproved()):
            return await _answer(HTTPStatus.SERVICE_UNAVAILABLE, why)(scope, receive, send)
        body = b""
        if not reads and not _is_execution(scope):
            body, receive = await read_body(receive)
            if problem := text_problem(body):
                return await _answer(HTTPStatus.UNPROCESSABLE_ENTITY, problem)(scope, receive, send)
        token = current_caller.set(caller := await _caller_of(scope, reads=reads))
        try:
            await self.app(scope, receive, _AnswerSender(caller, body, scope, receive, send))
        finally:
            current_caller.reset(token)

    async def _why_unproved(self) -> str | None:
        """Return why nothing may be changed now; None once the guard has passed its own test in this process."""
        if self._proved:
            return None
        why = await run_in_threadpool(self_test.failure)
        self._proved = why is None
        if why is None:
            return None
        log.error("The approval guard is not active and refuses every change: %s", why)
        return f"Nothing can be changed because the approval guard is not active: {why}"


async def _caller_of(scope: Scope, *, reads: bool) -> Caller | TaskCaller:
    if _is_execution(scope):
        return TaskCaller(scope)
    # A request that only reads changes nothing, so it needs no name.
    return Caller(None, Route(scope)) if reads else await identify(Request(scope))


def _is_execution(scope: Scope) -> bool:
    return f"{get_route_path(scope)}/".startswith(f"{_EXECUTION_API}/")


class _HeaderSender:
    """Adds the missing headers to an answer."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


class _AnswerSender:
    """Passes an answer on, or replaces it by one that says more."""

    def __init__(self, caller: Caller | TaskCaller, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        self._caller, self._body = caller, body
        self._scope, self._receive, self._send = scope, receive, send
        self._replaced = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and isinstance(self._caller, Caller):
            status = HTTPStatus(message["status"])
            if replies.may_replace(self._caller.route, status):
                await self._replace(await run_in_threadpool(replies.replacement, self._caller, status, self._body))
        if not self._replaced:
            await self._send(message)

    async def _replace(self, answer: tuple[HTTPStatus, str] | None) -> None:
        if answer:
            self._replaced = True
            await _answer(*answer)(self._scope, self._receive, self._send)


def _answer(status: HTTPStatus, detail: str) -> Any:
    return JSONResponse({"detail": detail}, status)
