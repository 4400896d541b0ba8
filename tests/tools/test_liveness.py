"""When a component that runs counts as one that does nothing; no test waits for the real limits."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tools.liveness import (
    CALLBACK_SECONDS,
    HEARTBEATS,
    LONGEST_STEP_SECONDS,
    RECONNECT_SECONDS,
    SILENCE_SECONDS,
    START_SECONDS,
    TOGETHER_SECONDS,
    Probe,
    Pulse,
    Watch,
    ask,
    heartbeats,
    page_probe,
    stalled,
)


def pulse(silent: float, *, answered: bool = True, stalls: int = 0) -> Pulse:
    return Pulse(1, "any", answered, silent, stalls=stalls)


@pytest.mark.parametrize("name", ["scheduler", "triggerer", "dag-processor", "api-server", "local-aws"])
def test_who_is_silent_is_restarted_and_who_answers_is_not(name):
    limit = SILENCE_SECONDS + CALLBACK_SECONDS.get(name, 0.0)
    assert stalled({name: pulse(limit)}) == {}
    assert stalled({name: pulse(limit + 1), "other": pulse(1)}) == {name: limit + 1}


def test_a_component_that_starts_has_longer():
    assert stalled({"triggerer": pulse(START_SECONDS, answered=False)}) == {}
    assert stalled({"triggerer": pulse(START_SECONDS + 1, answered=False)})


def test_heartbeats_that_are_late_together_have_longer():
    both = {"scheduler": pulse(SILENCE_SECONDS + 1), "triggerer": pulse(SILENCE_SECONDS + 1)}
    assert stalled(both) == {}
    assert stalled({**both, "scheduler": pulse(1)}).keys() == {"triggerer"}
    assert stalled({**both, "scheduler": pulse(TOGETHER_SECONDS + 1)}).keys() == {"scheduler"}
    # A server's silence has nothing to do with the database's lock.
    assert stalled({"triggerer": pulse(SILENCE_SECONDS + 1), "local-aws": pulse(SILENCE_SECONDS + 1)}).keys() == {
        "triggerer",
        "local-aws",
    }


def test_each_stall_in_a_row_after_the_second_doubles_the_patience():
    assert stalled({"triggerer": pulse(SILENCE_SECONDS + 1, stalls=1)})
    assert stalled({"triggerer": pulse(SILENCE_SECONDS * 2, stalls=2)}) == {}
    assert stalled({"triggerer": pulse(SILENCE_SECONDS * 2 + 1, stalls=2)})
    assert stalled({"triggerer": pulse(SILENCE_SECONDS * 8 + 1, stalls=50)}), "but not without end"


def test_some_may_be_silent_for_longer():
    silent = {"api-server": pulse(SILENCE_SECONDS + 1), "local-aws": pulse(SILENCE_SECONDS + 1)}
    assert stalled(silent, {"api-server": 60.0}).keys() == {"local-aws"}


def page(second: int, **others: int) -> bytes:
    """The health page with heartbeats at these seconds."""
    beats = dict.fromkeys(HEARTBEATS.values(), second) | others
    health = {
        key: {"status": "healthy", f"latest_{key}_heartbeat": f"2026-01-01T00:00:{at:02}"} for key, at in beats.items()
    }
    return json.dumps({"metadatabase": {"status": "healthy"}, **health}).encode()


def never() -> bytes | None:
    raise AssertionError("nobody asks")


class Clock:
    """A watch whose answers and time a test gives."""

    def __init__(self) -> None:
        self.watch = Watch(Probe(never), {"local-aws": Probe(never)})
        self.now = 1000.0
        self.processes = dict.fromkeys((*HEARTBEATS, "api-server", "local-aws"), 7)

    def look(self, seconds: float, answer: bytes | None = None, local_aws: bool = True) -> dict[str, float]:
        """Let time pass and then look; None is no answer of the API server."""
        self.now += seconds
        if answer is not None:
            self.watch.airflow.answers = (self.watch.airflow.answers[0] + 1, answer)
        if local_aws:
            probe = self.watch.servers["local-aws"]
            probe.answers = (probe.answers[0] + 1, b"")
        return self.watch.look(self.processes, self.now)

    def steps(self, count: int, **triggerer: int) -> dict[str, float]:
        """Look every two seconds while the heartbeats of all others go on."""
        found: dict[str, float] = {}
        for _ in range(count):
            found |= self.look(2, page(int(self.now) % 60, **triggerer))
        return found


@pytest.fixture
def clock():
    clock = Clock()
    assert clock.steps(30) == {}
    return clock


def test_a_heartbeat_that_stands_still_is_noticed_within_a_minute(clock):
    found = clock.steps(20, triggerer=1)
    assert found.keys() == {"triggerer"}
    assert SILENCE_SECONDS < found["triggerer"] < 45


def test_after_the_restart_it_has_its_start_again(clock):
    assert clock.steps(20, triggerer=1)
    clock.processes["triggerer"] = 8
    assert clock.steps(60, triggerer=1) == {}, "the old heartbeat says nothing about the new process"
    assert clock.watch.pulses["triggerer"].stalls == 1
    assert clock.steps(60) == {}
    assert clock.watch.pulses["triggerer"].stalls == 0, "it has worked for a while"
    assert clock.steps(20, triggerer=1).keys() == {"triggerer"}


def test_a_component_that_has_only_noted_its_start_still_starts(clock):
    clock.processes["triggerer"] = 8
    clock.steps(5, triggerer=1)
    assert clock.steps(60, triggerer=2) == {}
    clock.steps(1, triggerer=3)
    assert clock.steps(20, triggerer=3).keys() == {"triggerer"}


def test_while_the_api_server_is_silent_heartbeats_are_unknown(clock):
    found: dict[str, float] = {}
    for _ in range(40):
        found |= clock.look(2)
    assert found.keys() == {"api-server"}


def test_a_server_that_is_silent_is_noticed(clock):
    found: dict[str, float] = {}
    for second in range(20):
        found |= clock.look(2, page(second), local_aws=False)
    assert found.keys() == {"local-aws"}


def test_an_error_page_is_a_sign_of_life_of_the_server_only(clock):
    found: dict[str, float] = {}
    for _ in range(40):
        found |= clock.look(2, b"")
    assert found == {}


def test_a_machine_that_slept_wakes_up_well(clock):
    assert clock.look(8 * 3600, page(59)) == {}
    assert clock.look(2) == {}
    clock.look(8 * 3600, local_aws=False)
    assert clock.watch.pulses["local-aws"].silent_seconds <= 2 * LONGEST_STEP_SECONDS


def test_what_does_not_run_is_not_judged(clock):
    del clock.processes["triggerer"]
    assert clock.steps(60, triggerer=1) == {}


def test_what_nobody_can_judge_is_left_alone(clock):
    clock.processes["postgres"] = 9
    assert clock.steps(100) == {}


class OnDatabase(Clock):
    """The same with a database that all components of Airflow wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.watch.servers = {**self.watch.servers, "postgres": Probe(never)}
        self.watch.database = "postgres"
        self.processes["postgres"] = 7

    def turns(self, seconds: int, database: bytes | None, airflow: bool = True) -> dict[str, float]:
        """Look every two seconds.

        :param database: its answer; None for silence
        :param airflow: whether the API server answers and the heartbeats go on
        """
        found: dict[str, float] = {}
        for _ in range(seconds // 2):
            probe = self.watch.servers["postgres"]
            if database is not None:
                probe.answers = (probe.answers[0] + 1, database)
            found |= self.look(2, page(int(self.now) % 60) if airflow else None)
        return found


READY = b"accepting connections"


@pytest.fixture
def on_database():
    clock = OnDatabase()
    assert clock.turns(60, READY) == {}
    return clock


def test_a_silent_database_is_restarted_and_who_waits_for_it_is_not(on_database):
    found = on_database.turns(50, None, airflow=False)
    assert found.keys() == {"postgres"}
    assert SILENCE_SECONDS < found["postgres"] < 45
    del on_database.processes["postgres"]
    assert on_database.turns(300, None, airflow=False) == {}, "between two starts"
    on_database.processes["postgres"] = 8
    assert on_database.turns(150, b"", airflow=False) == {}, "it repairs its data"
    assert on_database.turns(int(RECONNECT_SECONDS + SILENCE_SECONDS), READY, airflow=False) == {}
    assert on_database.turns(6, READY, airflow=False).keys() == {"api-server"}


def test_a_database_that_never_answers_is_restarted(on_database):
    on_database.processes["postgres"] = 8
    assert on_database.turns(int(START_SECONDS), None, airflow=False) == {}
    assert on_database.turns(4, None, airflow=False).keys() == {"postgres"}


def test_a_database_that_starts_for_long_lives(on_database):
    assert on_database.turns(3600, b"", airflow=False) == {}


def test_while_the_database_answers_the_others_are_judged(on_database):
    assert on_database.turns(40, READY, airflow=False).keys() == {"api-server"}


def test_the_local_aws_does_not_wait_for_the_database(on_database):
    found: dict[str, float] = {}
    for _ in range(20):
        found |= on_database.look(2, local_aws=False)
    assert found.keys() == {"postgres", "local-aws"}


@pytest.mark.parametrize("text", [b"", b"<html>", b"[]", b'{"scheduler": null}', b"{}"])
def test_another_page_has_no_heartbeats(text):
    assert heartbeats(text) == {}


def test_a_component_that_never_ran_has_no_heartbeat():
    health = json.loads(page(1)) | {"triggerer": {"status": None, "latest_triggerer_heartbeat": None}}
    assert heartbeats(json.dumps(health).encode()).keys() == {"scheduler", "dag-processor"}


class Status(BaseHTTPRequestHandler):
    """Answers with the path as status; /0 closes the connection."""

    def do_GET(self):
        if self.path == "/0":
            return
        self.send_response(int(self.path[1:]))
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"page")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Status) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize(("status", "text"), [(200, b"page"), (500, b""), (0, b"")])
def test_whoever_answers_lives(server, status, text):
    assert ask(f"{server}/{status}", 30) == text


def test_whoever_only_takes_connections_does_not():
    with socket.create_server(("127.0.0.1", 0)) as stopped:
        assert ask(f"http://127.0.0.1:{stopped.getsockname()[1]}/", 0.5) is None


def test_nobody_listens(free_ports):
    assert ask(f"http://127.0.0.1:{free_ports(1)[0]}/", 30) is None


def test_a_probe_goes_on_asking(server, monkeypatch):
    monkeypatch.setattr("tools.liveness.PROBE_SECONDS", 0.01)
    probe = page_probe(f"{server}/200")
    probe.start()
    deadline = time.monotonic() + 120
    while probe.answers[0] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert probe.answers[1] == b"page"
