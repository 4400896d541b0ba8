"""The watchdog of Airflow's containers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tools import container_health, watchdog
from tools.container_signs import Signs
from tools.liveness import HEARTBEATS, Probe, Watch
from tools.settings import ROOT


def silent(name: str) -> Watch:
    """A watch that never sees anything."""
    return Watch(Probe(lambda: None), {name: Probe(lambda: None)})


@pytest.fixture(autouse=True)
def own_signals(monkeypatch):
    """The tests' process keeps its own handlers."""
    monkeypatch.setattr(watchdog.signal, "signal", lambda number, handler: None)


@pytest.mark.parametrize("code", [0, 3])
def test_a_command_that_ends_gives_its_exit_code(code):
    assert watchdog.run("triggerer", [sys.executable, "-c", f"raise SystemExit({code})"], silent("triggerer")) == code


@pytest.mark.parametrize("stopped", [False, True])
def test_a_command_that_does_nothing_is_killed_with_its_children(tmp_path, monkeypatch, capfd, stopped):
    monkeypatch.setattr("tools.liveness.START_SECONDS", 0.0)
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.05)
    told = tmp_path / "pids"
    stop = "kill -STOP $$" if stopped else "wait"
    # Nothing is killed before it could say who it is.
    monkeypatch.setattr(watchdog.Watch, "look", seen_after(told, watchdog.Watch.look))
    command = ["bash", "-c", f"sleep 300 & echo $$ $! > {told}; {stop}"]
    assert watchdog.run("api-server", command, silent("api-server")) == watchdog.EX_UNAVAILABLE
    assert "api-server did not answer for" in capfd.readouterr().err
    deadline = time.monotonic() + 120
    while any(alive(int(pid)) for pid in told.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def seen_after(told: Path, look):
    def patient(self, processes, now):
        return look(self, processes, now) if told.exists() and told.read_text().strip() else {}

    return patient


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_request_to_stop_is_passed_on(tmp_path):
    told = tmp_path / "ready"
    command = ["bash", "-c", f"trap 'exit 7' TERM; touch {told}; while true; do sleep 0.1; done"]
    running = subprocess.Popen([sys.executable, "-m", "tools.watchdog", "triggerer", *command], cwd=ROOT)
    deadline = time.monotonic() + 120
    while not told.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait(timeout=120) == 7


def test_a_request_to_stop_that_comes_while_the_command_starts_is_passed_on(monkeypatch):
    handlers, start = {}, subprocess.Popen

    def start_and_be_stopped(*arguments, **options):
        child = start(*arguments, **options)
        handlers[signal.SIGTERM](signal.SIGTERM, None)
        return child

    monkeypatch.setattr(watchdog.signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(watchdog.subprocess, "Popen", start_and_be_stopped)
    assert watchdog.run("triggerer", ["sleep", "300"], silent("triggerer")) == 128 + signal.SIGTERM


def test_each_component_of_the_compose_file_runs_under_it():
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    commands = {name: ["airflow", name] for name in (*HEARTBEATS, "api-server")}
    commands |= {"worker": ["airflow", "celery"], "worker-load": ["airflow", "celery"]}
    for name, command in commands.items():
        kind = "worker" if name.startswith("worker") else name
        assert services[name]["command"][:6] == ["python", "-m", "tools.watchdog", kind, *command]
        assert services[name]["environment"]["PYTHONPATH"] == "/opt/slipway"
        assert services[name]["restart"] == "unless-stopped"


def test_a_triggerer_has_time_to_build_airflows_api():
    watch, triggerer = watchdog.watch_of("triggerer"), {"triggerer": 1}
    for second in range(0, 20, 2):
        watch.servers["triggerer"].answers = (second, b"alive")
        assert not watch.look(triggerer, float(second))
    silent = [second for second in range(20, 200) if watch.look(triggerer, float(second))]
    assert 90 < silent[0] - 20 < 120


def test_only_a_new_sign_is_a_sign_of_life():
    beats, seen = iter([None, 1, 1, 2]), []
    signs = Signs(lambda: next(beats), lambda: seen.append(True))
    assert [signs.ask() for _ in range(4)] == [None, b"alive", None, b"alive"]
    assert len(seen) == 2


def test_a_silent_database_is_held_against_nobody_who_has_given_a_sign():
    def away():
        raise ConnectionError("no database")

    beats, seen = [away, lambda: 1, away, lambda: 1], []
    signs = Signs(lambda: beats.pop(0)(), lambda: seen.append(True))
    # Before its first sign it is: a component that cannot start for long is started again.
    assert [signs.ask() for _ in range(4)] == [None, b"alive", b"", None]
    # Nor is it a sign of health.
    assert len(seen) == 1


@pytest.mark.parametrize(("age", "healthy"), [(0, True), (29, True), (31, False)])
def test_a_container_is_healthy_while_its_signs_are_fresh(tmp_path, age, healthy):
    file = tmp_path / "alive"
    file.touch()
    assert container_health.seen_alive(file, file.stat().st_mtime + age) is healthy


def test_a_container_without_a_sign_is_not_healthy(tmp_path):
    assert not container_health.seen_alive(tmp_path / "alive", time.time())
