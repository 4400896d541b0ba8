"""Who may read the board, asked of Airflow's own API server with the plugin in it."""

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from fastapi.routing import APIRoute

from slipway.board import app, pages
from tests.unit.guard.real_server import IRIS, RUN

API = "/slipway/api/v1"
ROUTES = [
    *(API + one.path for one in app.app.routes if isinstance(one, APIRoute)),
    *("/slipway/board" + one.path for one in pages.app.routes if isinstance(one, APIRoute)),
]


def filled(path: str) -> str:
    return path.format(dag_id=IRIS, run_id=RUN)


def test_there_are_no_other_routes():
    """A documentation page of FastAPI's would need no login."""
    assert len(ROUTES) == len(app.app.routes) + len(pages.app.routes)


@pytest.mark.parametrize("path", ROUTES)
def test_nobody_reads_without_a_login(real_server, path):
    assert real_server.send("GET", filled(path), user=None)[0] == 401


@pytest.mark.parametrize("path", ROUTES)
def test_who_is_logged_in_reads(real_server, path):
    assert real_server.send("GET", filled(path), user="bob")[0] == 200


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/"])
@pytest.mark.parametrize("app", [API, "/slipway/board"])
def test_there_is_no_page_of_documentation(real_server, app, path):
    assert real_server.send("GET", app + path, user="alice")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ROUTES)
def test_nothing_can_be_changed(real_server, method, path):
    before = real_server.watched()
    assert real_server.send(method, filled(path), {}, user="alice")[0] == 405
    assert real_server.watched() == before


@pytest.mark.parametrize("path", [one for one in ROUTES if one.startswith(API)])
@pytest.mark.parametrize(
    ("entity", "name"),
    [
        (DagAccessEntity.RUN, "runs"),
        (DagAccessEntity.XCOM, "XComs"),
        (DagAccessEntity.HITL_DETAIL, "required actions"),
    ],
)
def test_who_may_not_read_is_told_what(real_server, monkeypatch, path, entity, name):
    monkeypatch.setattr(
        SimpleAuthManager, "is_authorized_dag", lambda self, *, access_entity=None, **_: access_entity != entity
    )
    status, answer = real_server.send("GET", filled(path), user="bob")
    whose = IRIS if "{dag_id}" in path else "any DAG"
    assert status == 403
    assert answer["detail"].startswith(f"bob may not read the {name} of {whose}. Ask an administrator")


def test_a_model_that_somebody_may_not_read_is_refused_and_left_out(real_server, monkeypatch):
    def may(self, *, details=None, **_):
        return details is None or details.id != IRIS

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", may)
    status, answer = real_server.send("GET", f"{API}/releases", user="bob")
    assert (status, [row["model"] for row in answer["models"]]) == (200, ["iris-forest"])
    assert real_server.send("GET", f"{API}/models/{IRIS}", user="bob")[0] == 403


def test_the_board_has_the_question_of_the_release_that_waits(real_server):
    _, answer = real_server.send("GET", f"{API}/releases", user="alice")
    (decision,) = next(row for row in answer["models"] if row["model"] == IRIS)["decisions"]
    assert [(one["name"], one["refusal"]) for one in decision["options"]] == [("Approve", None), ("Reject", None)]
    _, answer = real_server.send("GET", f"{API}/releases/{IRIS}/{RUN}", user="bob")
    refusals = {one["refusal"] for one in answer["decisions"][0]["options"]}
    assert refusals == {"Only its approvers may (alice, carol)."}
    assert real_server.headers["cache-control"] == "no-store"


def test_the_bundle_is_a_script(real_server):
    status, text = real_server.send("GET", "/slipway/board/board.js", user="bob")
    assert status == 200
    assert text.startswith(b"(function")
    assert real_server.headers["content-type"].startswith("text/javascript")
