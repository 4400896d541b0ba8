"""The guard around the API server: who it says is calling, what it adds, and when it refuses every change."""

import asyncio

import pytest
from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
from airflow.api_fastapi.core_api.routes.public.task_instances import patch_task_instance
from airflow.configuration import conf
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from slipway.errors import UnsafeConfiguration
from slipway.guard import middleware, replies, self_test
from slipway.guard.caller import Caller, TaskCaller, current_caller
from slipway.guard.flush import check_flush, unguard_flushes
from slipway.guard.matched_route import Route
from slipway.guard.middleware import ApprovalGuard
from slipway.guard.writes import check_statement, unguard_statements
from slipway.plugin import SlipwayPlugin

TASK = "/api/v2/dags/iris-model/dagRuns/s3__1/taskInstances/approve"
PARAMETERS = {"dag_id": "iris-model", "dag_run_id": "s3__1", "task_id": "approve"}


@pytest.fixture(autouse=True)
def nothing_stays_installed():
    yield
    unguard_flushes()
    unguard_statements()


@pytest.fixture(autouse=True)
def proved(monkeypatch):
    """There is no database here; test_self_test.py has one."""
    monkeypatch.setattr(self_test, "failure", lambda: None)


@pytest.fixture
def alice_calls(monkeypatch):
    async def identify(request):
        return Caller("alice", Route(request.scope))

    monkeypatch.setattr(middleware, "identify", identify)


class Server:
    """What is behind the guard; matches every request with one endpoint, remembers who called, and answers."""

    def __init__(self, status: int = 200, endpoint=patch_task_instance, headers=()) -> None:
        self.status, self.endpoint, self.headers, self.callers = status, endpoint, list(headers), []

    async def __call__(self, scope, receive, send):
        scope |= {"endpoint": self.endpoint, "path_params": PARAMETERS}
        self.callers.append(current_caller.get())
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"its own"})


def request(server: Server, method: str, path: str, root_path: str = "", raw: bytes = b""):
    """Send a request; return status, body and headers."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": method, "path": root_path + path, "root_path": root_path, "headers": []}
    asyncio.run(ApprovalGuard(server)(scope | {"raw_path": raw}, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], sent[1]["body"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize("root_path", ["", "/airflow"])
def test_who_changes_something_is_announced_with_the_task_that_is_named(alice_calls, root_path):
    server = Server()
    assert request(server, "PATCH", TASK, root_path)[:2] == (200, b"its own")
    (announced,) = server.callers
    assert (announced.name, announced.route.marked) == ("alice", ("iris-model", "s3__1", "approve"))
    assert current_caller.get() is None


@pytest.mark.parametrize(("method", "path"), [("GET", TASK), ("HEAD", TASK), ("OPTIONS", "/")])
def test_who_only_reads_is_nobody(alice_calls, method, path):
    server = Server()
    request(server, method, path)
    assert [announced.name for announced in server.callers] == [None]


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_worker_is_a_task_and_no_person(alice_calls, method):
    server = Server()
    request(server, method, "/execution/task-instances/1/state")
    (announced,) = server.callers
    assert isinstance(announced, TaskCaller)
    assert (announced.name, announced.task_instance_id) == (None, None)


def test_another_path_that_begins_in_the_same_way_is_no_workers(alice_calls):
    server = Server()
    request(server, "POST", "/executions")
    assert server.callers[0].name == "alice"


@pytest.mark.parametrize(
    ("path", "raw"),
    [(f"{TASK}\n", b""), (f"{TASK}%0A", b""), (TASK, b"/x%250A"), (f"{TASK}\x00/x", b""), ("/ui\x85", b"")],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_path_with_a_control_character_goes_no_further(alice_calls, method, path, raw):
    server = Server()
    assert request(server, method, path, raw=raw)[0] == 400
    assert server.callers == []


def test_nothing_is_changed_until_a_forged_change_has_been_refused(alice_calls, monkeypatch):
    monkeypatch.setattr(self_test, "failure", lambda: "it did not refuse a forged answer")
    server = Server()
    for path in (TASK, "/execution/xcoms/a/b/c/d"):
        status, body, _ = request(server, "PUT", path)
        assert (status, b"did not refuse a forged answer" in body) == (503, True)
    assert server.callers == []
    assert request(server, "GET", TASK)[0] == 200


def test_it_is_proved_once_and_again_while_it_fails(alice_calls, monkeypatch):
    found = ["the database is away", None, "never asked"]
    monkeypatch.setattr(self_test, "failure", lambda: found.pop(0))
    guard, statuses = ApprovalGuard(Server()), []

    async def send(message):
        statuses.append(message.get("status"))

    async def receive():
        return {"type": "http.request", "body": b""}

    async def calls():
        for _ in range(3):
            await guard({"type": "http", "method": "PUT", "path": TASK, "headers": []}, receive, send)

    asyncio.run(calls())
    assert [status for status in statuses if status] == [503, 200, 200]
    assert found == ["never asked"]


def test_no_other_site_may_frame_a_page(alice_calls):
    for method in ("GET", "PUT"):
        headers = request(Server(), method, TASK)[2]
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert headers["content-security-policy"] == "frame-ancestors 'self'"
        assert headers["x-content-type-options"] == "nosniff"
    assert request(Server(), "GET", f"{TASK}\n")[2]["x-frame-options"] == "SAMEORIGIN"


def test_what_a_page_says_itself_stays(alice_calls):
    headers = request(Server(headers=[(b"content-security-policy", b"default-src 'self'")]), "GET", TASK)[2]
    assert headers["content-security-policy"] == "default-src 'self'"


def test_an_answer_that_is_replaced_is_so_as_a_whole(alice_calls, monkeypatch):
    monkeypatch.setattr(replies, "replacement", lambda caller, status, body: (status, f"not {caller}"))
    assert request(Server(409, update_hitl_detail), "PATCH", TASK)[:2] == (409, b'{"detail":"not alice"}')
    assert request(Server(200, update_hitl_detail), "PATCH", TASK)[:2] == (200, b"its own")


def test_a_server_for_which_everybody_is_the_same_does_not_start(monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    assert conf.getboolean("core", "simple_auth_manager_all_admins")
    with pytest.raises(UnsafeConfiguration, match="let people log in"):
        ApprovalGuard(Server())


def test_the_plugin_puts_the_guard_around_the_server():
    (entry,) = SlipwayPlugin.fastapi_root_middlewares
    assert isinstance(entry["middleware"](Server()), ApprovalGuard)
    assert event.contains(Session, "before_flush", check_flush)
    assert event.contains(Engine, "before_execute", check_statement)
