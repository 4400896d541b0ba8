"""A refusal on Airflow's own pages reaches the person with its reason, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.tabs import FOLLOW, RELEASES, Opens

pytestmark = pytest.mark.e2e
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


@pytest.fixture
def page(opened: Opens) -> Page:
    """A tab in which bob, who may answer for nothing, goes from page to page."""
    return opened(RELEASES, "bob")


def go(page: Page, path: str) -> None:
    page.evaluate(FOLLOW, path)
    # What shows the reasons is there.
    page.wait_for_function("XMLHttpRequest.prototype.open.name !== 'open'")


def refused(page: Page, reason: str) -> None:
    """See a reason, which no other test's request has: what tells it stays for half a minute."""
    expect(page.get_by_test_id("slipway-refusal").filter(has_text=reason).first).to_be_visible()


def test_an_answer(page: Page) -> None:
    go(page, f"{APPROVE}/required_actions")
    page.get_by_role("button", name="Approve", exact=True).click()
    refused(page, "bob may not answer for approve: only its approvers may (alice, carol).")


def test_a_mark(page: Page) -> None:
    go(page, APPROVE)
    page.get_by_role("button", name="Mark Task Instance as").first.click()
    page.get_by_role("menuitem").filter(has_text="uccess").first.click()
    refused(page, "bob may not do this to an approval: only its approvers may (alice, carol).")


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("api/v2/dags/iris-model/dagRuns", ORDER, "bob may not roll production back (previous): only its approvers"),
        ("api/v2/dags/iris-model/clearTaskInstances", CLEAR, "bob may not change approve to None: only its approvers"),
    ],
    ids=["roll back", "clear"],
)
def test_the_other_ways(page: Page, path: str, body: object, reason: str) -> None:
    go(page, APPROVE)
    assert page.evaluate(SEND, ["POST", path, body]) == 403
    refused(page, reason)
