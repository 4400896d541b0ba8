"""The release board in Airflow's own UI, in a real browser: what it shows, and what a press of its buttons does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from airflow.models.hitl import HITLDetail
from airflow.models.task_state_store import TaskStateStoreModel
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import create_engine, select

from tests.chromium import violations
from tests.e2e.board_server import CONSOLE, BoardServer
from tests.e2e.tabs import BOARD, MODEL, RELEASES, Opens

pytestmark = pytest.mark.e2e
FAILED = "/dags/churn-model/runs/s3__5/plugin/slipway-release"
WAITING = "/dags/iris-model/runs/s3__13/plugin/slipway-release"


def answers(server: BoardServer, key: str) -> list[Any]:
    engine = create_engine(server.database)
    with engine.connect() as connection:
        found = connection.execute(select(TaskStateStoreModel.value).where(TaskStateStoreModel.key == key)).scalars()
        return [json.loads(one) for one in found]


def test_what_waits_comes_first_and_a_failure_says_what_to_do(opened: Opens) -> None:
    page = opened(RELEASES)
    titles = page.locator("#slipway-board h2").all_inner_texts()
    assert titles == ["Decisions wanted", "Models"]
    expect(page.get_by_text("Approve: Version 13 takes the place of version 12 in production")).to_be_visible()
    row = page.get_by_role("row", name="churn-model").first
    expect(row).to_contain_text("failed")
    expect(page.get_by_role("region", name="Failed: process_request")).to_contain_text("upload the zip again")
    page.get_by_role("button", name="Failed").click()
    expect(page.get_by_role("row", name="iris-model")).to_have_count(0)
    assert "need=failed" in page.url


def test_who_may_not_answer_sees_why(opened: Opens, server: BoardServer) -> None:
    page = opened(WAITING, "bob")
    button = page.get_by_role("button", name="Approve")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text("Only its approvers may (alice, carol).")).to_be_visible()
    button.click(force=True)
    expect(page.get_by_role("textbox")).to_have_count(0)
    assert answers(server, "answer/0") == []


def test_the_page_of_a_failed_release_begins_with_the_failure(opened: Opens) -> None:
    page = opened(FAILED)
    failure = page.get_by_role("region", name="Failed: process_request")
    expect(failure).to_contain_text("Hyperparameters.subsample")
    assert page.locator("#slipway-board").inner_text().index("Fix") < page.locator("#slipway-board").inner_text().index(
        "What is in it"
    )


def test_a_release_shows_what_it_changes_and_where_it_is_in_aws(opened: Opens) -> None:
    page = opened(WAITING)
    expect(page.get_by_text("Production then runs 2 x ml.c5.xlarge for an estimated $0.41 an hour")).to_have_count(1)
    section = page.locator("section", has=page.get_by_role("heading", name="The zip"))
    expect(section.get_by_role("row", name="max_depth").first).to_contain_text("7")
    link = page.get_by_role("link", name="SageMaker training job (train)")
    expect(link).to_have_attribute("href", f"{CONSOLE}/sagemaker/home?region=us-west-2#/jobs/mlops-iris-model-13")
    expect(page.get_by_role("row", name="train success")).to_contain_text("61 s")


def tasks_of(page: Page) -> Locator:
    return page.locator("section", has=page.get_by_role("heading", name="Tasks", exact=True))


def test_a_tasks_waits_are_drawn_apart_from_its_work_and_are_in_a_table(opened: Opens) -> None:
    tasks = tasks_of(opened(WAITING))
    row = tasks.get_by_role("row", name="train success")
    expect(row).to_contain_text("46 s")
    drawn = [row.locator("[data-kind]").nth(place) for place in range(3)]
    assert [one.get_attribute("data-kind") for one in drawn] == ["work", "wait", "work"]
    boxes = [one.bounding_box() or {} for one in drawn]
    assert boxes[0]["x"] < boxes[1]["x"] < boxes[2]["x"]
    # The difference is seen without colours.
    assert boxes[1]["height"] < boxes[0]["height"] / 2
    summary = tasks.get_by_text("Each part as a table")
    summary.focus()
    summary.press("Enter")
    expect(tasks.get_by_role("row", name=re.compile(r"^approve wait .* so far$"))).to_be_visible()


def test_a_narrow_window_has_a_tasks_words_above_its_bars(opened: Opens) -> None:
    page = opened(f"{RELEASES}?model=iris-model&run=s3__13", scheme="dark", width=390, by_address=True)
    item = tasks_of(page).get_by_role("listitem").filter(has_text="train success")
    expect(item).to_contain_text("waited: 46 s")
    text, bar = item.get_by_role("link").bounding_box(), item.locator("[data-kind=wait]").bounding_box()
    assert text and bar
    assert text["y"] + text["height"] <= bar["y"] + 1
    assert page.evaluate("document.querySelector('#slipway-board').scrollWidth") <= 390


def test_a_model_has_plots_whose_values_are_in_a_table_too(opened: Opens) -> None:
    page = opened(MODEL)
    expect(page.get_by_role("img", name="validation:accuracy over 3 releases")).to_be_visible()
    page.get_by_text("validation:accuracy as a table").press("Enter")
    expect(page.get_by_role("row", name="v12 0.96 deployed")).to_be_visible()
    expect(page.get_by_role("link", name="SageMaker endpoint")).to_have_attribute(
        "href", f"{CONSOLE}/sagemaker/home?region=us-west-2#/endpoints/iris-model-production"
    )


def test_the_end_of_a_login_says_what_to_do(opened: Opens) -> None:
    page = opened(RELEASES)
    cookies = page.context.cookies()
    page.context.clear_cookies()
    expect(page.get_by_role("alert")).to_contain_text("Reload the page to log in")
    # The login is also that of the tests after this one, the page is not.
    page.context.add_cookies(cookies)
    page.close()


@pytest.mark.parametrize(
    ("path", "scheme", "width"),
    [
        (RELEASES, "light", 1440),
        (WAITING, "dark", 1440),
        (f"{RELEASES}?model=churn-model&run=s3__5", "light", 390),
        (MODEL, "light", 1440),
        (MODEL, "dark", 390),
        (f"{RELEASES}?model=iris-model&run=s3__13", "dark", 390),
        (RELEASES, "dark", 390),
    ],
)
def test_axe_finds_nothing(opened: Opens, path: str, scheme: str, width: int) -> None:
    page = opened(path, scheme=scheme, width=width)
    found = violations(page, BOARD)
    assert [(one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in found] == []


def test_an_approver_approves_by_keyboard_and_the_guard_signs(opened: Opens, server: BoardServer) -> None:
    """Last, because it changes what the other tests see."""
    page = opened(WAITING, "carol")
    page.get_by_role("button", name="Approve", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox")).to_be_focused()
    page.keyboard.type("better on every class")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
    (answer,) = answers(server, "answer/0")
    assert (answer["approve"], answer["by"], answer["comment"]) == (True, "carol", "better on every class")
    assert answer["proof"]
    with create_engine(server.database).connect() as connection:
        responded = connection.execute(select(HITLDetail.responded_by).where(HITLDetail.responded_at.is_not(None)))
        assert [one["name"] for one in responded.scalars()] == ["carol"]
