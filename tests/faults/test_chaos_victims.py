"""Chaos hits processes of its own instance only, lets paused ones go on, and sees what a killed one leaves behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults.chaos import clocks
from tests.faults.chaos.strikes import KILL, PAUSE, RESTART, Strike, Striker, plan
from tests.faults.chaos.victims import Victim, find, strays
from tools.component import Component
from tools.environment import MARKER
from tools.settings import Settings
from tools.supervisor import ComponentStatus, Status


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path)


@pytest.fixture
def start(settings):
    """Starts a program of the instance in a session of its own, with a child; stops what is left of it."""
    started = []

    def begin(title: str = "bash") -> subprocess.Popen[bytes]:
        environment = os.environ | {MARKER: str(settings.home)}
        command = ["bash", "-c", 'exec -a "$0" bash -c "sleep 300 & wait"', title]
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        started.append(process)
        # The child is a copy of the shell before it is a sleep.
        while "sleep 300" not in family(process, "args"):
            time.sleep(0.01)
        return process

    yield begin
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        process.wait()


def family(process: subprocess.Popen[bytes], shown: str = "pid") -> list[str]:
    command = ["ps", "-o", f"{shown}=", "-g", str(process.pid)]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return [line.strip() for line in lines]


def supervise(settings: Settings, **components: int) -> None:
    """Write the supervisor's status file."""
    status = {name: ComponentStatus(pid, 0.0, 0, 0, None, "") for name, pid in components.items()}
    settings.status_file.write_text(json.dumps(asdict(Status(1, 0, 0, "running", [], status))))


def test_a_component_is_found_by_what_the_supervisor_says(settings, start):
    scheduler = start()
    supervise(settings, scheduler=scheduler.pid)
    found = [find(settings, "scheduler", random.Random(seed)) for seed in range(9)]
    assert {victim.pid for victim in found} == {scheduler.pid}
    assert {victim.family for victim in found} == {True, False}
    assert find(settings, "triggerer", random.Random(1)) is None


def test_tasks_are_found_by_their_title_and_only_of_this_instance(settings, start, tmp_path):
    start("airflow worker -- LocalExecutor: <idle>")
    task = start("airflow worker -- 01a21383-9b41-7461-82ea-fbf55b008259")
    pids = {find(settings, "task", random.Random(seed)).pid for seed in range(9)}
    # The task itself, or who watches it, which here is this test.
    assert pids == {task.pid, os.getpid()}
    assert find(Settings(tmp_path / "another"), "task", random.Random(1)) is None


def test_what_a_killed_component_leaves_behind_is_a_stray(settings, start):
    scheduler = start()
    supervise(settings, scheduler=scheduler.pid)
    assert strays(settings) == []
    assert Victim("scheduler", scheduler.pid).send(signal.SIGKILL)
    scheduler.wait()
    assert [process.command for process in strays(settings)] == ["sleep 300"]


def test_a_family_dies_together(settings, start):
    scheduler = start()
    supervise(settings, scheduler=scheduler.pid)
    assert Victim("scheduler", scheduler.pid, family=True).send(signal.SIGKILL)
    scheduler.wait()
    assert not Victim("scheduler", scheduler.pid).send(signal.SIGKILL)
    deadline = time.monotonic() + 120
    while strays(settings) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert strays(settings) == []


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def becomes(pid: int, wanted: str) -> bool:
    deadline = time.monotonic() + 120
    while state(pid) != wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    return state(pid) == wanted


def held_until(seen: threading.Event, send):
    def patient(victim: Victim, number: signal.Signals) -> bool:
        if number == signal.SIGCONT:
            seen.wait(120)
        return send(victim, number)

    return patient


def test_what_is_paused_goes_on_by_itself(settings, start, monkeypatch):
    scheduler = start()
    supervise(settings, scheduler=scheduler.pid)
    striker, seen = Striker(settings, pause_seconds=(0.5, 0.6)), threading.Event()
    # However short the pause, it lasts until it was seen.
    monkeypatch.setattr(Victim, "send", held_until(seen, Victim.send))
    assert striker.strike(Strike(PAUSE, "scheduler"), random.Random(1))
    assert becomes(scheduler.pid, "T")
    seen.set()
    striker.wait()
    assert becomes(scheduler.pid, "S")


def test_nothing_stays_paused_when_chaos_ends(settings, start):
    scheduler, triggerer = start(), start()
    supervise(settings, scheduler=scheduler.pid, triggerer=triggerer.pid)
    striker = Striker(settings, pause_seconds=(300, 301))
    for kind in ("scheduler", "triggerer"):
        assert striker.strike(Strike(PAUSE, kind), random.Random(1))
    striker.release()
    pids = [int(pid) for process in (scheduler, triggerer) for pid in family(process)]
    assert all(becomes(pid, "S") for pid in pids)


@pytest.mark.skipif(not clocks.can_be_shifted(), reason="libfaketime does not work here")
@pytest.mark.parametrize("seconds", [60, -60])
def test_a_shifted_clock_is_that_of_one_start_of_one_component(settings, tmp_path, seconds):
    log = tmp_path / "scheduler.log"
    shown = [sys.executable, "-c", "import time; print(time.time(), flush=True); time.sleep(60)"]
    component = Component("scheduler", shown, dict(os.environ), log)
    for shift in (seconds, 0):
        log.write_text("")
        status = {"scheduler": ComponentStatus(os.getpid(), 0.0, 0, 0, None, str(log))}
        settings.status_file.write_text(json.dumps(asdict(Status(1, 0, 0, "running", [], status))))
        if shift:
            clocks.shift_next_start(settings, "scheduler", shift)
        component.start()
        assert component.process is not None
        try:
            while not log.read_text().endswith("\n"):
                time.sleep(0.02)
            assert float(log.read_text()) - time.time() == pytest.approx(shift, abs=20)
            supervise(settings, scheduler=component.process.pid)
            assert list(clocks.shifted(settings)) == (["scheduler"] if shift else [])
        finally:
            component.kill()


def test_each_strike_of_the_pool_comes_once_before_any_comes_again():
    pool = [Strike(KILL, "task"), Strike(PAUSE, "task"), Strike(RESTART, "database")]
    chosen = plan(pool, 7, seed=5)
    assert set(chosen[:3]) == set(chosen[3:6]) == set(pool)
    assert chosen == plan(pool, 7, seed=5)
