"""A page of another site, open in the browser of somebody who is logged in: it reads nothing and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.models.dagrun import DagRun
from playwright.sync_api import Page, expect
from sqlalchemy import create_engine, func, select

from tests.e2e.board_server import BoardServer
from tests.e2e.tabs import RELEASES, Opens
from tests.e2e.test_board import answers

pytestmark = pytest.mark.e2e
SITE = "http://somewhere-else.example/"
RUNS = "api/v2/dags/iris-model/dagRuns"
ANSWER = "api/v2/dags/iris-model/dagRuns/s3__13/taskInstances/approve/-1/hitlDetails"
SEND = """([method, address, type]) => fetch(address, {
  method, credentials: "include", headers: type ? {"Content-Type": type} : {},
  body: method === "GET" ? undefined : JSON.stringify({chosen_options: ["Approve"], params_input: {}}),
}).then((answer) => answer.text(), (error) => error.name)"""


# Its body is JSON.
FORM = """(address) => {
  document.body.innerHTML = `<form method=post enctype=text/plain action=${address}>
    <input name='{"logical_date": null, "note": "' value='"}'></form>`;
  document.forms[0].submit();
}"""


def runs(server: BoardServer) -> int:
    """Return how many runs there are."""
    with create_engine(server.database).connect() as connection:
        return connection.execute(select(func.count()).select_from(DagRun)).scalar_one()


@pytest.fixture
def foreign(opened: Opens) -> Iterator[Page]:
    """The other site's page, in the browser in which alice, an approver, looks at the board."""
    page = opened(RELEASES).context.new_page()
    page.route(f"{SITE}**", lambda route: route.fulfill(body="<h1>Elsewhere</h1>", content_type="text/html"))
    page.goto(SITE)
    expect(page.get_by_role("heading", name="Elsewhere")).to_be_visible()
    yield page
    page.close()


@pytest.mark.parametrize(
    "path", ["slipway/api/v1/releases", "slipway/api/v1/releases/iris-model/s3__13", "api/v2/dags"]
)
def test_it_reads_nothing(foreign: Page, server: BoardServer, path: str) -> None:
    assert foreign.evaluate(SEND, ["GET", f"{server.url}/{path}", ""]) == "TypeError"


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_it_answers_nothing(foreign: Page, server: BoardServer, kind: str) -> None:
    """The browser asks first, and is refused, or sends what no route takes."""
    assert foreign.evaluate(SEND, ["PATCH", f"{server.url}/{ANSWER}", kind]) == "TypeError"
    assert foreign.evaluate(SEND, ["POST", f"{server.url}/{ANSWER}", kind]) == "TypeError"
    assert answers(server, "answer/0") == []


def test_a_form_of_its_starts_nothing(foreign: Page, server: BoardServer) -> None:
    """The login of the simple auth manager is a cookie without SameSite, which may come along: the guard reads Origin.

    https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/Cookies#controlling_third-party_cookies_with_samesite
    """
    before = runs(server)
    with foreign.expect_response(lambda answer: "/dagRuns" in answer.url) as sent:
        foreign.evaluate(
            FORM,
            f"{server.url}/{RUNS}",
        )
    assert sent.value.status == 403
    expect(foreign.get_by_text("A page of http://somewhere-else.example may not change anything here")).to_be_visible()
    assert runs(server) == before
