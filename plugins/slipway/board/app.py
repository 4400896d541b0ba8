"""The board's API: what its pages read. It changes nothing; answers and roll-backs go through Airflow's own routes."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import Depends, FastAPI, Query, Response

from slipway.board.access import Reader, reader
from slipway.board.documents import Need, Order, Problem, Releases
from slipway.board.overview import Wanted
from slipway.board.releases import releases

PREFIX = "/slipway/api/v1"
MAX_LIMIT = 100
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "nobody is logged in"},
    403: {"model": Problem, "description": "the caller may not read this"},
}

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]


def _not_stored(response: Response) -> None:
    """Keep browsers and proxies from storing an answer."""
    response.headers["Cache-Control"] = "no-store"


# FastAPI's own pages of documentation would need no login.
app = FastAPI(
    title="Slipway's release board",
    version="1",
    openapi_url=None,
    docs_url=None,
    redoc_url=None,
    dependencies=[Depends(reader), Depends(_not_stored)],
    responses=_REFUSALS,
)


@app.get("/releases")
def list_releases(
    user: Reader,
    session: SessionDep,
    text: Annotated[str, Query(max_length=250, description="a part of the model's name")] = "",
    need: Need | None = None,
    order: Order = Order.NEED,
    limit: Limit = 25,
    offset: Offset = 0,
) -> Releases:
    """One row a model: what waits for a person first."""
    return releases(Wanted(text, need, order, limit, offset), user, session)
