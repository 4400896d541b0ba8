"""Where the bundle of the board's pages is, and which pages it has, without Airflow's API server."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

PREFIX = "/slipway/board"
BUNDLE = Path(__file__).with_name("static") / "board.js"
# Names of the pages: their titles in Airflow's UI, and the names under which the bundle defines them.
_PAGES = (
    ("Releases", "nav", "slipway"),
    ("Release", "dag_run", "slipway-release"),
    ("Model", "dag", "slipway-model"),
    # On every page: it says why Airflow's own pages were refused something.
    ("Refusals", "base", "slipway-refusals"),
)


def react_apps() -> list[dict[str, Any]]:
    """Return the pages for Airflow's UI; none if the package has no bundle.

    The address is relative, because Airflow may be served below a path.
    """
    if not BUNDLE.is_file():
        return []
    version = hashlib.sha256(BUNDLE.read_bytes()).hexdigest()[:12]
    url = f"{PREFIX.removeprefix('/')}/{BUNDLE.name}?v={version}"
    return [
        {
            "name": name,
            "bundle_url": url,
            "destination": destination,
            "url_route": route,
            "nav_top_level": destination == "nav",
        }
        for name, destination, route in _PAGES
    ]
