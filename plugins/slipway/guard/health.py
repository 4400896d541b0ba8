"""GET /slipway/guard/health: tells everybody whether approvals are guarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from starlette._utils import get_route_path

from slipway.guard import self_test
from slipway.guard.caller import current_caller

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request. It needs no login, because the answer says nothing about anybody."""
    if get_route_path(scope) != "/health" or scope["method"] != "GET":
        return await Response(status_code=404)(scope, receive, send)
    why = await run_in_threadpool(self_test.failure) if current_caller.get() else "its middleware is missing"
    answer = {"guard": "inactive", "why": why} if why else {"guard": "active"}
    await JSONResponse(answer, 503 if why else 200)(scope, receive, send)
