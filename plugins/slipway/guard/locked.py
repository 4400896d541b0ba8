"""Answers 503 instead of 500 when SQLite refuses a write because another process holds its lock.

Airflow answers every error of its database with a 500 that hides the cause. The engine still tells it.
https://docs.sqlalchemy.org/en/20/core/events.html#sqlalchemy.events.DialectEvents.handle_error
"""

from __future__ import annotations

import logging
import sqlite3
from contextvars import ContextVar
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse
from sqlalchemy import event
from sqlalchemy.engine import Engine, ExceptionContext

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
DETAIL = (
    "Nothing was changed: Airflow's SQLite database is locked by another write. Try again in "
    f"{RETRY_AFTER_SECONDS} seconds. On PostgreSQL this does not happen."
)
# The errors of the current request. It is a list so that what a thread adds is seen here.
_errors: ContextVar[list[BaseException] | None] = ContextVar("errors", default=None)


def notice(context: ExceptionContext) -> None:
    """Remember that a statement of the current request failed because the database was locked."""
    errors = _errors.get()
    error = context.original_exception
    # "database is locked" and "database table is locked": https://www.sqlite.org/rescode.html#busy
    if errors is not None and isinstance(error, sqlite3.OperationalError) and "is locked" in str(error):
        errors.append(error)


class LockedDatabase:
    """The ASGI application around the API server's routes.

    :param app: the routes
    """

    def __init__(self, app: ASGIApp) -> None:
        if not event.contains(Engine, "handle_error", notice):
            event.listen(Engine, "handle_error", notice)
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; see https://asgi.readthedocs.io/en/latest/specs/www.html."""
        errors: list[BaseException] = []
        replaced = False

        async def answer(message: Message) -> None:
            nonlocal replaced
            failed = message["type"] == "http.response.start" and message["status"] == HTTPStatus.INTERNAL_SERVER_ERROR
            if failed and errors:
                replaced = True
                log.warning("Answered 503 to %s %s: %s", scope["method"], scope["path"], errors[-1])
                headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
                refusal = JSONResponse({"detail": DETAIL}, HTTPStatus.SERVICE_UNAVAILABLE, headers)
                await refusal(scope, receive, send)
            if not replaced:
                await send(message)

        token = _errors.set(errors)
        try:
            await self.app(scope, receive, answer)
        finally:
            _errors.reset(token)
