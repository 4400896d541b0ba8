"""The board's API: what its pages read. It changes nothing; answers and roll-backs go through Airflow's own routes."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from airflow.api_fastapi.common.db.common import SessionDep
from fastapi import Depends, FastAPI, HTTPException, Query, Response, status
from pydantic import BaseModel

from slipway import names
from slipway.board.access import Reader, reader
from slipway.board.documents import Model, Need, Order, PastReleases, Problem, Release, Releases
from slipway.board.history import model, past_releases
from slipway.board.overview import Wanted
from slipway.board.release import release
from slipway.board.releases import releases
from slipway.board.traffic import Range, Traffic, traffic
from slipway.board.versions import Versions, versions, wanted_version

MAX_LIMIT = 100
Found = TypeVar("Found", bound=BaseModel)
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "there is no such thing"}}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "nobody is logged in"},
    403: {"model": Problem, "description": "the caller may not read this"},
}

# PostgreSQL's driver sends no NUL, and no name has another control character.
_WRITTEN = r"^[^\x00-\x1f\x7f]*$"
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
Package = Annotated[
    str | None,
    Query(
        max_length=names.PACKAGE_MAX_CHARS,
        pattern=names.PACKAGE_PATTERN,
        description="the version of a model package, or its ARN: only the releases that registered it",
    ),
]


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
    text: Annotated[str, Query(max_length=250, pattern=_WRITTEN, description="a part of the model's name")] = "",
    need: Need | None = None,
    order: Order = Order.NEED,
    limit: Limit = 25,
    offset: Offset = 0,
) -> Releases:
    """One row a model: what waits for a person first."""
    return releases(Wanted(text, need, order, limit, offset), user, session)


@app.get("/releases/{dag_id}/{run_id}", responses=_MISSING)
def get_release(dag_id: str, run_id: str, user: Reader, session: SessionDep) -> Release:
    """One release: its failure first, then its open question, and everything known about it."""
    return _found(release(dag_id, run_id, user, session), f"There is no release {run_id} of {dag_id}.")


@app.get("/models/{dag_id}", responses=_MISSING)
def get_model(dag_id: str, user: Reader, session: SessionDep) -> Model:
    """One model, and who may roll it back."""
    return _found(model(dag_id, user, session), f"There is no model {dag_id}.")


@app.get("/models/{dag_id}/releases", responses=_MISSING)
def list_past_releases(
    dag_id: str, user: Reader, session: SessionDep, limit: Limit = 25, offset: Offset = 0, package: Package = None
) -> PastReleases:
    """A model's releases, the newest first."""
    return _found(past_releases(dag_id, limit, offset, session, package=package), f"There is no model {dag_id}.")


@app.get("/models/{dag_id}/traffic", responses=_MISSING)
def get_traffic(dag_id: str, user: Reader, session: SessionDep, span: Range = Range.DAY) -> Traffic:
    """What a model's endpoints did over time, and what was released and decided meanwhile."""
    return _found(traffic(dag_id, span, session), f"There is no model {dag_id}.")


@app.get("/models/{dag_id}/versions", responses=_MISSING)
def list_versions(dag_id: str, user: Reader, session: SessionDep) -> Versions:
    """The versions of a model's zip that Airflow knows, for a release by hand."""
    return _found(versions(dag_id, user, session), f"There is no model {dag_id}.")


@app.get("/releases/{dag_id}/{run_id}/version", responses=_MISSING)
def get_wanted_version(dag_id: str, run_id: str, user: Reader, session: SessionDep) -> Versions:
    """The version that a run was refused, for a new attempt."""
    return _found(wanted_version(dag_id, run_id, user, session), f"There is no release {run_id} of {dag_id}.")


def _found(document: Found | None, otherwise: str) -> Found:
    if document is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, otherwise)
    return document
