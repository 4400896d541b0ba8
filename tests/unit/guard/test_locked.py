"""What the API server answers while another process holds the lock of Airflow's SQLite database."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from airflow import settings
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from slipway.guard.locked import LockedDatabase

BODY = {"key": "any", "value": "1"}


@pytest.fixture
def locked(real_server):
    """Another writer's transaction, which the server does not wait for long."""

    def hurry(connection):
        # By SQLAlchemy's own connection it would begin a transaction, which 2.0's sessions join and do not commit.
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute("PRAGMA busy_timeout = 50")

    event.listen(Engine, "engine_connect", hurry)
    with closing(sqlite3.connect(settings.engine.url.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        other.execute("ROLLBACK")
    event.remove(Engine, "engine_connect", hurry)
    settings.engine.dispose()


def stored():
    with settings.engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM variable WHERE key = 'any'")).scalar()


def test_a_write_is_answered_503_and_works_later(real_server, locked):
    status, answer = real_server.send("POST", "/api/v2/variables", BODY, user="admin")
    assert (status, real_server.headers["retry-after"]) == (503, "5")
    assert answer["detail"].startswith("Nothing was changed: Airflow's SQLite database is locked")
    assert real_server.headers["x-frame-options"] == "SAMEORIGIN"
    assert stored() == 0
    locked.execute("COMMIT")
    assert real_server.send("POST", "/api/v2/variables", BODY, user="admin")[0] == 201
    assert real_server.send("DELETE", "/api/v2/variables/any", user="admin")[0] == 204
    locked.execute("BEGIN")


def test_a_worker_is_answered_in_the_same_way(real_server, locked):
    target = "/xcoms/iris-model/manual__1/process_request/other"
    status, _ = real_server.works("POST", target, 1, task=("iris-model", "process_request"))
    assert (status, real_server.headers["retry-after"]) == (503, "5")


def test_reading_goes_on(real_server, locked):
    assert real_server.send("GET", "/api/v2/variables", user="admin")[0] == 200


def test_another_error_stays_what_it_is():
    async def broken(scope, receive, send):
        with pytest.raises(OperationalError), settings.engine.connect() as connection:
            connection.execute(text("SELECT * FROM no_such_table"))
        await send({"type": "http.response.start", "status": 500, "headers": []})

    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(LockedDatabase(broken)({"type": "http"}, None, send))
    assert [message["status"] for message in sent] == [500]
