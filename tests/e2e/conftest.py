"""A real Airflow and a real local AWS, as `make up` starts them, on ports and in a state folder of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from demo import upload
from tests.chromium import started
from tests.e2e.board_server import BoardServer, serving
from tests.e2e.tabs import BOARD, PATIENCE_MS, Opens, Tabs
from tests.instance import OTHER_DAGS, SHORT_PATIENCE, Instance
from tests.instances import running
from tests.spans import Receiver, receiving
from tools import e2e, fab
from tools.airflow_api import ApiError

# What else the instance is to be: E2E_SLIPWAY_DATABASE_URL is its SLIPWAY_DATABASE_URL, and so on. The variables of a
# developer's own instance must not reach it, so they have another name.
_CHOSEN = {
    name.removeprefix(e2e.PREFIX): value
    for name, value in os.environ.items()
    if name.startswith(f"{e2e.PREFIX}SLIPWAY_")
}
_EXTRA = OTHER_DAGS | SHORT_PATIENCE | _CHOSEN
# Takes minutes and is for other kinds of instances only.
collect_ignore = [] if _CHOSEN else ["test_approval_elsewhere.py"]


@pytest.fixture(scope="session")
def telemetry() -> Iterator[Receiver]:
    """Where the instance sends its traces."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def slipway(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    free_ports: Callable[[int], list[int]],
    telemetry: Receiver,
) -> Iterator[Instance]:
    """A running instance with a copy of include/ that tests may add models to. It sends its traces."""
    extra = _EXTRA | telemetry.variables()
    instance = Instance.in_folder(tmp_path_factory.mktemp("slipway"), free_ports(2), extra, faults=True)
    with running(request.config, "slipway", instance):
        if _EXTRA.get(fab.SWITCH) == fab.AUTH_MANAGER:
            instance.run("tools.fab", "users")
        yield instance


@pytest.fixture(scope="session")
def board_server(
    tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[BoardServer]:
    """One API server for the tests of the pages: its start costs more than a file of them."""
    with serving(tmp_path_factory.mktemp("board"), free_ports(1)[0]) as running:
        yield running


@pytest.fixture(scope="module")
def server(board_server: BoardServer) -> BoardServer:
    """The same for each file, on the database that it began with."""
    board_server.forget()
    return board_server


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for all files, because its start costs as much as a page. No longer: it has an event loop."""
    with started() as browser:
        yield browser


@pytest.fixture(scope="package")
def people(chromium: Browser, board_server: BoardServer) -> Tabs:
    """Those who have logged in once, and the tabs that they have open."""
    return Tabs(chromium, board_server)


@pytest.fixture(scope="module")
def tabs(people: Tabs, server: BoardServer) -> Iterator[Tabs]:
    """The tabs of one file: the first page of each user is loaded, with all scripts, and after the database."""
    yield people
    people.close()


@pytest.fixture
def opened(request: pytest.FixtureRequest, tabs: Tabs) -> Iterator[Opens]:
    """Open a page of the board as one of its users, in a browser that knows nothing of earlier pages but the login."""

    def open_page(
        path: str, user: str = "alice", *, scheme: str = "light", width: int = 1440, by_address: bool = False
    ) -> Page:
        if by_address:
            tabs.close()
        page = tabs.show(path, user, scheme, width)
        page.wait_for_selector(f"{BOARD} h1")
        page.wait_for_selector("text=Reading…", state="detached")
        return page

    failed = request.session.testsfailed
    expect.set_options(timeout=PATIENCE_MS)
    yield open_page
    expect.set_options(timeout=5_000)
    if request.session.testsfailed > failed:
        # Nobody knows what is left of such a page.
        tabs.close()
    tabs.leave()


@dataclass(frozen=True)
class FirstRelease:
    """The release that put something into production, which later ones must leave serving."""

    run_id: str
    version_id: str
    bobs_status: int
    screen: dict[str, Any]


@pytest.fixture(scope="session")
def first_release(slipway: Instance) -> FirstRelease:
    """iris-model in production: uploaded, noticed, refused to bob, approved by alice."""
    upload.upload_data(slipway.settings, "iris-model", "iris")
    version = upload.upload_zip(slipway.settings, "iris-model")
    run_id = slipway.run_of("iris-model", version.version_id)
    screen = slipway.wait_approval("iris-model", run_id)
    with pytest.raises(ApiError) as refusal:
        slipway.api("bob").answer("iris-model", run_id, "approve", "Approve")
    slipway.api("alice").answer("iris-model", run_id, "approve", "Approve")
    assert slipway.wait_end("iris-model", run_id) == "success", slipway.story("iris-model", run_id)
    return FirstRelease(run_id, version.version_id, refusal.value.status, screen)
