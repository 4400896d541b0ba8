"""The board's API on a database of its own, without the rest of Airflow's API server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from airflow import models
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.common.db.common import _get_session
from airflow.api_fastapi.core_api.security import get_user
from airflow.models.base import Base
from sqlalchemy import Engine, StaticPool, create_engine, event
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from slipway.board import access
from slipway.board.app import app
from tests.unit.board.world import World


def _in_memory() -> Engine:
    return create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})


def _file(engine: Engine) -> sqlite3.Connection:
    made = engine.raw_connection().driver_connection
    assert isinstance(made, sqlite3.Connection)
    return made


@pytest.fixture(scope="session")
def _tables() -> Iterator[sqlite3.Connection]:
    """A database with Airflow's tables: each test's is a copy, because it takes long to create them."""
    models.import_all_models()
    made = _in_memory()
    Base.metadata.create_all(made)
    yield _file(made)
    made.dispose()


def copied(tables: sqlite3.Connection) -> Engine:
    """Make an empty database in memory."""
    made = _in_memory()
    tables.backup(_file(made))
    return made


@pytest.fixture
def engine(_tables: sqlite3.Connection) -> Iterator[Engine]:
    """An empty database in memory."""
    made = copied(_tables)
    yield made
    made.dispose()


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine)


class Reading:
    """A client of the API, as one of Airflow's users, that counts the statements of each request."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.statements = engine, 0
        self.user, self.role = "alice", "op"
        self.client = TestClient(app)

    def get(self, path: str, **query: object) -> dict:
        """Ask, and return the answer of a request that succeeds."""
        self.statements = 0
        answer = self.client.get(path, params={name: value for name, value in query.items() if value is not None})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def status(self, path: str) -> tuple[int, str]:
        answer = self.client.get(path)
        return answer.status_code, answer.json().get("detail", "")


@pytest.fixture
def board(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    reading = Reading(engine)

    def session() -> Iterator[Session]:
        with Session(engine) as opened:
            yield opened

    def count(*_: object) -> None:
        reading.statements += 1

    manager = SimpleAuthManager()
    monkeypatch.setattr(access, "get_auth_manager", lambda: manager)
    app.dependency_overrides = {
        _get_session: session,
        get_user: lambda: SimpleAuthManagerUser(username=reading.user, role=reading.role),
    }
    event.listen(engine, "before_cursor_execute", count)
    yield reading
    event.remove(engine, "before_cursor_execute", count)
    app.dependency_overrides = {}
