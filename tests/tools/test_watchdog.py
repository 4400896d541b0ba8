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

from tools import watchdog
from tools.liveness import HEARTBEATS
from tools.settings import ROOT

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def own_signals(monkeypatch):
    """The tests' process keeps its own handlers."""
    monkeypatch.setattr(watchdog.signal, "signal", lambda number, handler: None)


@pytest.mark.parametrize("code", [0, 3])
def test_a_command_that_ends_gives_its_exit_code(code):
    assert watchdog.run("triggerer", [sys.executable, "-c", f"raise SystemExit({code})"], NOBODY) == code


@pytest.mark.parametrize("stopped", [False, True])
def test_a_command_that_does_nothing_is_killed_with_its_children(tmp_path, monkeypatch, capfd, stopped):
    monkeypatch.setattr("tools.liveness.START_SECONDS", 0.0)
    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.05)
    told = tmp_path / "pids"
    stop = "kill -STOP $$" if stopped else "wait"
    # Nothing is killed before it could say who it is.
    monkeypatch.setattr(watchdog.Watch, "look", seen_after(told, watchdog.Watch.look))
    command = ["bash", "-c", f"sleep 300 & echo $$ $! > {told}; {stop}"]
    assert watchdog.run("api-server", command, NOBODY) == watchdog.EX_UNAVAILABLE
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
    assert watchdog.run("triggerer", ["sleep", "300"], NOBODY) == 128 + signal.SIGTERM


def test_each_component_of_the_compose_file_runs_under_it():
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    for name in (*HEARTBEATS, "api-server"):
        command = services[name]["command"]
        assert command[:6] == ["python", "-m", "tools.watchdog", name, "airflow", name]
        assert services[name]["environment"]["PYTHONPATH"] == "/opt/slipway"
        assert services[name]["restart"] == "unless-stopped"
