"""What make up and make status do with an API server that guards approvals, and with one that does not."""

import json
import threading
import time
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from rich.console import Console

from tools import services
from tools.services import GUARD, ServicesError
from tools.settings import Settings
from tools.supervisor import ComponentStatus, Status

WELL = {"status": "healthy"}
HEALTH = {
    "metadatabase": WELL,
    **{key: {**WELL, f"latest_{key}_heartbeat": None} for key in services.HEALTH_KEYS.values()},
}
ACTIVE = (200, json.dumps({"guard": "active"}))
# What Airflow shows for a path that it does not know, because it has dropped the plugin.
NO_PLUGIN = (200, "<!doctype html><title>Airflow</title>")
INACTIVE = (503, json.dumps({"guard": "inactive", "why": "it did not refuse a forged answer"}))


@pytest.fixture
def airflow(tmp_path, free_ports):
    """An API server that says of its guard what a test wants."""
    ports = free_ports(2)
    settings = Settings(tmp_path / "home", *ports)
    settings.logs.mkdir(parents=True)

    class Handler(BaseHTTPRequestHandler):
        guard = ACTIVE

        def do_GET(self):
            status, text = self.guard if self.path.startswith("/slipway/guard/") else (200, json.dumps(HEALTH))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", ports[0]), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield settings, Handler
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        (ACTIVE, "active"),
        (NO_PLUGIN, "inactive: Slipway's plugin is not loaded"),
        (INACTIVE, "inactive: it did not refuse a forged answer"),
        ((500, "Internal Server Error"), "inactive: HTTP 500"),
        ((200, "{}"), "inactive: {}"),
    ],
)
def test_the_guard_is_one_of_the_parts(airflow, guard, expected):
    settings, handler = airflow
    handler.guard = guard
    health = services.components_health(settings)
    assert (health["api-server"], health[GUARD]) == ("healthy", expected)


def test_before_airflow_answers_the_guard_is_waited_for(tmp_path, free_ports):
    health = services.components_health(Settings(tmp_path / "home", *free_ports(2)))
    assert health[GUARD] == "starting"


@pytest.mark.parametrize(("answered", "expected"), [(True, "does not answer"), (False, "starting")])
def test_what_has_answered_before_does_not_start(tmp_path, free_ports, answered, expected):
    settings = Settings(tmp_path / "home", *free_ports(2))
    settings.logs.mkdir(parents=True)
    components = {
        name: ComponentStatus(1, 0.0, 0, 0, None, "", answered=answered) for name in ("local-aws", "api-server")
    }
    settings.status_file.write_text(json.dumps(asdict(Status(1, 0, 0, "running", [], components))))
    health = services.components_health(settings)
    assert (health["local AWS"], health["api-server"]) == (expected, expected)


def test_a_heartbeat_that_stands_still_is_no_start(airflow):
    settings, _ = airflow
    triggerer = ComponentStatus(1, 0.0, 0, 0, None, "", answered=True)
    settings.status_file.write_text(json.dumps(asdict(Status(1, 0, 0, "running", [], {"triggerer": triggerer}))))
    health = services.components_health(settings)
    assert (health["triggerer"], health["scheduler"]) == ("does not answer", "starting")


def test_status_says_why_a_component_was_restarted(airflow, monkeypatch, capsys):
    settings, _ = airflow
    triggerer = ComponentStatus(1, 0.0, 2, 1, -9, "log", "did not answer for 36 s", answered=True)
    settings.status_file.write_text(json.dumps(asdict(Status(1, 0, 0, "running", [], {"triggerer": triggerer}))))
    monkeypatch.setattr(services, "is_running", lambda settings: True)
    services.print_status(settings, Console(width=200))
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("triggerer"))
    assert "2" in line.split()
    assert "did not answer for 36 s" in line


@pytest.mark.parametrize("guard", [NO_PLUGIN, INACTIVE])
def test_an_api_server_without_a_guard_is_given_up(airflow, guard):
    settings, handler = airflow
    handler.guard = guard
    (settings.logs / "api-server.log").write_text("Failed to load plugin slipway")
    state = services.components_health(settings)
    now = services._check_guard(settings, state, None)
    assert now == services._check_guard(settings, state, now), "it has a moment"
    with pytest.raises(ServicesError, match=r"(?s)does not guard approvals.*Failed to load plugin slipway") as refused:
        services._check_guard(settings, state, time.monotonic() - services.GUARD_TIMEOUT_SECONDS - 1)
    assert state[GUARD] in str(refused.value)
    assert services._check_guard(settings, state | {GUARD: "active"}, now) is None


@pytest.mark.parametrize(("guard", "well"), [("active", True), ("inactive: why", False)])
def test_status_shows_it_and_says_whether_all_is_well(airflow, monkeypatch, capsys, guard, well):
    settings, _ = airflow
    status = type("Status", (), {"components": {}})
    monkeypatch.setattr(services.Status, "read", lambda settings: status)
    monkeypatch.setattr(services, "is_running", lambda settings: True)
    monkeypatch.setattr(services, "components_health", lambda settings: {"api-server": "healthy", GUARD: guard})
    assert services.print_status(settings, Console(width=200)) is well
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith(GUARD))
    assert guard in line
