"""The bundle and the API's description in the package are those of the sources; no Node is needed to tell."""

import re

from airflow.api_fastapi.core_api.datamodels.plugins import ReactAppResponse

from slipway.board.bundle import BUNDLE, react_apps
from tools import ui


def test_the_bundle_was_built_from_the_sources_as_they_are():
    assert ui.HASH.read_text().strip() == ui.sources_hash(), "run `make ui`, and commit what it builds"


def test_the_description_of_the_api_is_up_to_date():
    assert ui.OPENAPI.read_text() == ui.openapi(), "run `make ui`, and commit what it writes"


def test_the_bundle_defines_every_page_under_the_name_that_airflow_asks_for():
    _, _, defined = BUNDLE.read_text().partition("Object.assign(globalThis,{")
    for page in react_apps():
        assert re.search(rf"(^|,){page['name']}:", defined), page["name"]


def test_airflow_accepts_every_page():
    """One that is invalid would hide the whole plugin."""
    for page in react_apps():
        assert ReactAppResponse.model_validate(page).bundle_url.startswith("slipway/board/board.js?v=")
