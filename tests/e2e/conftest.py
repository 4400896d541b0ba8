"""A real Airflow and a real local AWS, as `make up` starts them, on ports and in a state folder of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from demo import upload
from tests.e2e.board_server import BoardServer, serving
from tests.instance import OTHER_DAGS, SHORT_PATIENCE, Instance
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
    tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]], telemetry: Receiver
) -> Iterator[Instance]:
    """A running instance with a copy of include/ that tests may add models to. It sends its traces."""
    extra = _EXTRA | telemetry.variables()
    instance = Instance.in_folder(tmp_path_factory.mktemp("slipway"), free_ports(2), extra, faults=True)
    try:
        instance.services("up")
        if _EXTRA.get(fab.SWITCH) == fab.AUTH_MANAGER:
            instance.run("tools.fab", "users")
        yield instance
    finally:
        instance.services("down")


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
