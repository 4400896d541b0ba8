"""Releases by hand in a real browser: Airflow's own form, the board's list of versions, a refused run's new attempt."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.models.dagrun import DagRun, DagRunNote
from playwright.sync_api import Page, expect
from sqlalchemy import create_engine, select

from tests.chromium import violations
from tests.e2e.board_server import BoardServer
from tests.e2e.tabs import BOARD, MODEL, Opens

pytestmark = pytest.mark.e2e
REFUSED = "/plugin/slipway?model=churn-model&run=manual__4"
STAGES = ("build", "development", "approval", "production", "trial")


def runs(server: BoardServer, beginning: str) -> list[tuple[str, Any, str]]:
    """Return id, conf and note of the runs whose id begins like this."""
    statement = (
        select(DagRun.run_id, DagRun.conf, DagRunNote.content)
        .join(DagRunNote, DagRunNote.dag_run_id == DagRun.id)
        .where(DagRun.run_id.startswith(beginning, autoescape=True))
    )
    with create_engine(server.database).connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


def triggering(page: Page, section: str) -> None:
    """Open Airflow's own form, with one of its sections."""
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_role("button", name=section).click()


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_airflows_form_says_what_is_wrong_before_a_run_starts(opened: Opens, user: str) -> None:
    page = opened(MODEL, user)
    triggering(page, "Roll production back")
    page.locator("[name=element_roll_back_to]").fill("v12")
    page.get_by_role("dialog").get_by_role("button", name="Trigger").click()
    said = page.get_by_test_id("error-alert")
    expect(said.get_by_text("roll_back_to: v12 is refused. Write previous, the ARN of a model package")).to_be_visible()


def test_airflows_form_takes_one_order_at_a_time(opened: Opens) -> None:
    page = opened(MODEL)
    triggering(page, "Roll production back")
    page.locator("[name=element_roll_back_to]").fill("previous")
    page.get_by_role("button", name="Release a version").click()
    page.locator("[name=element_version_id]").fill("v11")
    page.get_by_role("dialog").get_by_role("button", name="Trigger").click()
    said = page.get_by_test_id("error-alert")
    expect(said.get_by_text("Remove version_id to roll back, or remove roll_back_to to release.")).to_be_visible()


def test_the_grid_shows_the_stages_in_their_order(opened: Opens, server: BoardServer) -> None:
    answer = opened(MODEL).request.get(f"{server.url}/ui/grid/structure/churn-model")
    assert [node["label"] for node in answer.json()] == [*STAGES, "collect_garbage"]


@pytest.mark.parametrize("path", [MODEL, REFUSED])
def test_axe_finds_nothing(opened: Opens, path: str) -> None:
    page = opened(path)
    if path == MODEL:
        page.get_by_role("button", name="Release a version").click()
        expect(page.get_by_role("combobox", name="Version")).to_be_visible()
    else:
        expect(page.get_by_role("button", name="Release this version again")).to_be_visible()
    assert [(one["id"], one["nodes"][0]["html"]) for one in violations(page, BOARD)] == []


def test_a_released_version_is_chosen_from_a_list_and_released_again(opened: Opens, server: BoardServer) -> None:
    page = opened(MODEL)
    page.get_by_role("button", name="Release a version").click()
    page.get_by_role("combobox", name="Version").select_option("v12")
    page.get_by_role("button", name="Release it again as a new attempt").click()
    # The survey's note is a status, too.
    expect(page.get_by_role("status").filter(has_text="The release")).to_contain_text(
        "The release has started: new_attempt__"
    )
    ((_, conf, note),) = runs(server, "new_attempt__")
    assert conf["new_attempt"] is True
    assert (conf["version_id"], conf["bucket"], note[-13:]) == ("v12", "uploads", ", new attempt")


def test_a_refused_run_offers_the_new_attempt_by_one_press(opened: Opens, server: BoardServer) -> None:
    before = len(runs(server, "new_attempt__"))
    page = opened(REFUSED)
    expect(page.get_by_role("region", name="Failed: source")).to_contain_text('press "Release this version again"')
    page.get_by_role("button", name="Release this version again").click()
    expect(page.get_by_role("status")).to_contain_text("The release has started: new_attempt__")
    started = runs(server, "new_attempt__")
    assert len(started) == before + 1
    assert started[-1][1]["version_id"] == "v4"


def test_a_roll_back_looks_like_one(opened: Opens, server: BoardServer) -> None:
    page = opened(MODEL)
    page.get_by_role("button", name="Roll back to v11").click()
    page.get_by_role("button", name="Roll production back to v11").click()
    expect(page.get_by_text("The roll-back to v11 is ordered")).to_be_visible()
    ((_, conf, note),) = runs(server, "roll_back_to_v11__")
    assert (conf["roll_back_to"].endswith("/11"), note) == (True, "Roll-back to v11")
