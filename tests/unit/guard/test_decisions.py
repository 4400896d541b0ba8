"""There is a decision about every route of Airflow's API server, and no form of a path evades it."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from starlette.routing import Mount

from tests.unit.guard.decisions import PUBLIC, WORKERS, Guarded
from tests.unit.guard.real_server import FOREIGN

_READING = {"GET", "HEAD", "OPTIONS"}
# In the path as it is sent: the answer to each is 400.
CONTROLS = ("%0A", "%0a", "%0D%0A", "%00", "%7F", "%C2%85", "%250A", "%2500")
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")


def writing(routes, prefix: str = "") -> Iterator[str]:
    """Name the routes that do not only read, below mounted applications too."""
    for route in routes:
        if isinstance(route, Mount):
            yield from writing(getattr(route.app, "routes", ()), prefix + route.path)
        else:
            methods = set(getattr(route, "methods", None) or ()) - _READING
            yield from (f"{method} {prefix}{route.path}" for method in methods)


def execution_routes(server) -> list:
    """The newest version's, which Airflow builds at the first call."""
    assert server.works("GET", "/health", task=(FOREIGN, "first"))[0] == 200
    (mount,) = (route for route in server.app.routes if isinstance(route, Mount) and route.path == "/execution")
    versions = mount.app.router.versioned_routers
    return versions[max(versions)].routes


def filled(server, text: str) -> str:
    """A path for any route, with names of Slipway as its parameters."""
    known = {"asset": server.asset_id, "asset_name": quote(server.asset_name), "asset_uri": quote(server.asset_name)}
    known |= {"approve": server.tasks["iris-model", "approve"], "dag_id": "iris-model", "dag_run_id": "manual__1"}
    known |= {"run_id": "manual__1", "task_id": "approve", "asset_id": server.asset_id, "map_index": -1}
    known |= {"key": "asked", "xcom_key": "return_value", "task_instance_id": known["approve"], "backfill_id": 1}
    return re.sub(r"\{(\w+)(:path)?\}", lambda found: str(known.get(found[1], "1")), text)


def odd(target: str) -> Iterator[str]:
    """Other spellings of a path; some mean the same, some mean something else."""
    path, mark, query = target.partition("?")
    head, _, last = path.rpartition("/")
    letter = last[0] if last else "a"
    for form in (
        f"{path}/",
        f"{path}//",
        f"{head}//{last}",
        f"/{path}",
        f"{head}/./{last}",
        f"{head}/x/../{last}",
        f"{head}/%2E/{last}",
        f"{head}/x/%2e%2e/{last}",
        f"{head}%2F{last}",
        f"{head}/%{ord(letter):02x}{last[1:]}",
        f"{head}/%25{ord(letter):02x}{last[1:]}",
        f"{path};x",
        f"{head};x/{last}",
        f"{head}/{last.upper()}",
        f"{path}%20",
        f"{path}%3F",
        f"{path}%E2%80%A8",
    ):
        yield f"{form}{mark}{query}"


@pytest.fixture
def unchanged(real_server):
    """After each test, what is watched must be as before."""
    before = real_server.watched()
    yield
    assert real_server.watched() == before


def test_nothing_is_undecided(real_server):
    found = {name for name in writing(real_server.app.routes) if not name.partition(" ")[2].startswith("/execution/")}
    assert found == PUBLIC.keys()
    assert set(writing(execution_routes(real_server))) == WORKERS.keys()


GUARDED = [name for name, decision in PUBLIC.items() if isinstance(decision, Guarded)]
WORKERS_GUARDED = [name for name, decision in WORKERS.items() if isinstance(decision, Guarded)]


@pytest.mark.parametrize("name", GUARDED)
def test_who_approves_nothing_is_refused(real_server, unchanged, name):
    decision = PUBLIC[name]
    status, answer = real_server.send(name.split()[0], filled(real_server, decision.target), decision.body)
    # A request for many things is answered with an error for each.
    errors = [error["status_code"] for error in (answer.get("update") or {}).get("errors", [])]
    assert (status, errors) in ((decision.status, []), (200, [decision.status])), answer


@pytest.mark.parametrize("name", WORKERS_GUARDED)
def test_another_dags_task_is_refused(real_server, unchanged, name):
    decision = WORKERS[name]
    target = filled(real_server, decision.target)
    status, answer = real_server.works(name.split()[0], target, decision.body, task=(FOREIGN, "first"))
    assert status == 403, answer


def test_no_form_of_a_path_leads_past_it(real_server, unchanged):
    for name, decision in PUBLIC.items():
        method, path = name.split()
        body = decision.body if isinstance(decision, Guarded) else {}
        target = filled(real_server, decision.target if isinstance(decision, Guarded) else path)
        for form in odd(target):
            real_server.send(method, form, body)
        for header in OVERRIDES:
            for sent in ("GET", "POST"):
                real_server.send(sent, target, body, headers={header: method})


def test_no_form_of_a_path_leads_another_dags_task_past_it(real_server, unchanged):
    for name, decision in WORKERS.items():
        method, path = name.split()
        body = decision.body if isinstance(decision, Guarded) else {}
        target = filled(real_server, decision.target if isinstance(decision, Guarded) else path)
        for form in odd(target):
            real_server.works(method, form, body, task=(FOREIGN, "first"))


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_character_is_a_bad_request_everywhere(real_server, unchanged, control):
    targets = [(name, "") for name in PUBLIC] + [(name, "/execution") for name in WORKERS]
    for name, prefix in (*targets, ("GET /", ""), ("GET /auth/login", ""), ("GET /static/x", "")):
        method, path = name.split()
        target = f"{prefix}{filled(real_server, path)}{control}"
        assert real_server.send(method, target, {})[0] == 400, target
