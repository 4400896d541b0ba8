"""A refusal on Airflow's own pages reaches the person with its reason, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.chromium import started
from tests.e2e.board_server import PASSWORDS, BoardServer

pytestmark = pytest.mark.e2e
# The machine may be busy; no test says how fast a page must be.
PATIENCE_MS = 120_000.0
APPROVE = "/dags/iris-model/runs/s3__13/tasks/approve"
# As Airflow's pages send their requests: the form of "Trigger" and the dialog of "Clear" are not filled in here.
SEND = """([method, path, body]) => new Promise((resolve) => {
  const request = new XMLHttpRequest();
  request.open(method, new URL(path, document.baseURI).href);
  request.setRequestHeader("Content-Type", "application/json");
  request.addEventListener("loadend", () => resolve(request.status));
  request.send(JSON.stringify(body));
})"""
ORDER = {"logical_date": None, "conf": {"roll_back_to": "previous"}}
CLEAR = {"dry_run": False, "dag_run_id": "s3__13", "task_ids": ["approve"], "only_failed": False}


@pytest.fixture(scope="module")
def page(server: BoardServer) -> Iterator[Page]:
    """A browser in which bob, who may answer for nothing, has logged in."""
    expect.set_options(timeout=PATIENCE_MS)
    with started() as chromium:
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        made = context.new_page()
        made.goto(f"{server.url}/auth/login?next=/")
        made.fill("input[name=username]", "bob")
        made.fill("input[name=password]", PASSWORDS["bob"])
        made.click("button[type=submit]")
        made.wait_for_url(lambda url: "login" not in url)
        yield made
    expect.set_options(timeout=5_000)


def opened(page: Page, server: BoardServer, path: str) -> Page:
    page.goto(f"{server.url}{path}")
    # What shows the reasons is there.
    page.wait_for_function("XMLHttpRequest.prototype.open.name !== 'open'")
    return page


def refused(page: Page, reason: str) -> None:
    expect(page.get_by_test_id("slipway-refusal").filter(has_text=reason).first).to_be_visible()


def test_an_answer(page: Page, server: BoardServer) -> None:
    opened(page, server, f"{APPROVE}/required_actions")
    page.get_by_role("button", name="Approve", exact=True).click()
    refused(page, "bob may not answer for approve: only its approvers may (alice, carol).")


def test_a_mark(page: Page, server: BoardServer) -> None:
    opened(page, server, APPROVE)
    page.get_by_role("button", name="Mark Task Instance as").first.click()
    page.get_by_role("menuitem").filter(has_text="uccess").first.click()
    refused(page, "bob may not do this to an approval: only its approvers may (alice, carol).")


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("api/v2/dags/iris-model/dagRuns", ORDER, "only its approvers may"),
        ("api/v2/dags/iris-model/clearTaskInstances", CLEAR, "only its approvers may"),
    ],
    ids=["roll back", "clear"],
)
def test_the_other_ways(page: Page, server: BoardServer, path: str, body: object, reason: str) -> None:
    opened(page, server, APPROVE)
    assert page.evaluate(SEND, ["POST", path, body]) == 403
    refused(page, reason)
