"""Serves the bundle of the board's pages, which ``make ui`` builds from ui/ and which is part of the package.

Airflow's UI imports it as a module and renders the functions that it defines.
https://airflow.apache.org/docs/apache-airflow/stable/howto/custom-view-plugin.html#react-apps
"""

from __future__ import annotations

from pathlib import Path

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI
from fastapi.responses import FileResponse

from slipway.board.bundle import BUNDLE

app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(get_user)])


@app.get(f"/{BUNDLE.name}", response_class=FileResponse)
def bundle() -> FileResponse:
    """Return the bundle. Its address changes with its content, so browsers may keep it."""
    headers = {"Cache-Control": "private, max-age=86400"}
    return FileResponse(Path(BUNDLE), media_type="text/javascript", headers=headers)
