"""The guard's own test, on Airflow's own server."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from slipway.guard import self_test
from slipway.guard.flush import check_flush
from slipway.guard.writes import check_statement
from slipway.plugin import SlipwayPlugin

HEALTH = "/slipway/guard/health"


def test_it_says_that_it_is_active_to_anybody(real_server):
    before = real_server.watched()
    assert real_server.send("GET", HEALTH, user=None) == (200, {"guard": "active"})
    assert real_server.watched() == before


def test_it_answers_nothing_else(real_server):
    assert real_server.send("POST", HEALTH, {}, user=None)[0] == 404
    assert real_server.send("GET", "/slipway/guard/", user=None)[0] == 404


@pytest.mark.parametrize(
    ("target", "moment", "listener", "passed"),
    [
        (Session, "before_flush", check_flush, "a mark on an approval"),
        (Engine, "before_execute", check_statement, "a forged answer, a forged XCom"),
    ],
)
def test_without_a_listener_it_is_not_active(real_server, target, moment, listener, passed):
    before = real_server.watched()
    event.remove(target, moment, listener)
    status, answer = real_server.send("GET", HEALTH, user=None)
    assert (status, answer) == (503, {"guard": "inactive", "why": f"it did not refuse {passed}"})
    assert real_server.watched() == before


def test_without_its_middleware_it_is_not_active():
    apps = {entry["url_prefix"]: entry["app"] for entry in SlipwayPlugin.fastapi_apps}
    answer = TestClient(apps["/slipway/guard"]).get("/health")
    assert (answer.status_code, answer.json()["why"]) == (503, "its middleware is missing")


def test_a_database_that_is_away_proves_nothing(real_server, monkeypatch):
    def away(session):
        raise OperationalError("select", {}, Exception("away"))

    monkeypatch.setattr(self_test, "_ATTEMPTS", {"a forged answer": away})
    assert self_test.failure() == "the database failed during its own test (OperationalError)"
