"""The guard around the API server: whom it announces, and when it does not let the server start."""

import asyncio

import pytest
from airflow.configuration import conf
from sqlalchemy import event
from sqlalchemy.orm import Session

from slipway.approval_guard import caller, flush, paths
from slipway.approval_guard.middleware import ApprovalGuard
from slipway.errors import UnsafeConfiguration
from slipway.plugin import SlipwayPlugin

TASK = "/api/v2/dags/iris-model/dagRuns/s3__1/taskInstances/approve"


@pytest.fixture(autouse=True)
def nothing_stays_installed():
    yield
    if event.contains(Session, "before_flush", flush.check):
        event.remove(Session, "before_flush", flush.check)


@pytest.fixture
def alice_calls(monkeypatch):
    async def identify(request):
        return "alice"

    monkeypatch.setattr(caller, "identify", identify)


class Server:
    """What is behind the guard; remembers who called, and answers."""

    def __init__(self, status: int = 200) -> None:
        self.status, self.callers = status, []

    async def __call__(self, scope, receive, send):
        self.callers.append(caller.current.get())
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b"its own"})


def request(server: Server, method: str, path: str, root_path: str = "") -> tuple[int, bytes]:
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": method, "path": root_path + path, "root_path": root_path, "headers": []}
    asyncio.run(ApprovalGuard(server)(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("root_path", ["", "/airflow"])
def test_who_changes_something_is_announced_with_the_task_that_is_named(alice_calls, root_path):
    server = Server()
    assert request(server, "PATCH", TASK, root_path) == (200, b"its own")
    assert server.callers == [caller.Caller("alice", ("iris-model", "s3__1", "approve"))]
    assert caller.current.get() is None


@pytest.mark.parametrize(("method", "path"), [("GET", TASK), ("PATCH", "/execution/task-instances/1/state")])
def test_readers_and_workers_are_not(alice_calls, method, path):
    server = Server()
    request(server, method, path)
    assert server.callers == [None]


def test_who_is_not_logged_in_is_somebody_all_the_same(monkeypatch):
    async def nobody(request):
        return None

    monkeypatch.setattr(caller, "identify", nobody)
    server = Server()
    request(server, "PATCH", TASK)
    assert server.callers[0] == caller.Caller(None, ("iris-model", "s3__1", "approve"))


def test_what_a_path_gives_away_goes_no_further(alice_calls, monkeypatch):
    monkeypatch.setattr(paths, "refusal", lambda path, calling: f"not {calling}")
    server = Server()
    assert request(server, "POST", f"{TASK}/xcomEntries") == (403, b'{"detail":"not alice"}')
    assert server.callers == []


@pytest.mark.parametrize(
    ("first", "expected"), [("carol was first", b'{"detail":"carol was first"}'), (None, b"its own")]
)
def test_a_second_answer_is_told_who_was_first(alice_calls, monkeypatch, first, expected):
    monkeypatch.setattr(paths, "who_was_first", lambda found: first)
    assert request(Server(409), "PATCH", f"{TASK}/-1/hitlDetails") == (409, expected)


def test_a_server_for_which_everybody_is_the_same_does_not_start(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    assert conf.getboolean("core", "simple_auth_manager_all_admins")
    with pytest.raises(UnsafeConfiguration, match="let people log in"):
        ApprovalGuard(Server())


def test_the_plugin_puts_the_guard_around_the_server():
    (entry,) = SlipwayPlugin.fastapi_root_middlewares
    assert isinstance(entry["middleware"](Server()), ApprovalGuard)
    assert event.contains(Session, "before_flush", flush.check)
