from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tools.settings import Settings
from tools.supervisor import Component, Supervisor


def wait_for(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("children_go_on", [False, True])
def test_what_a_killed_component_has_started_ends_unless_it_is_at_work(tmp_path, children_go_on):
    told = tmp_path / "child"
    command = ["bash", "-c", f"sleep 300 & echo $! > {told}; wait"]
    component = Component("any", command, dict(os.environ), tmp_path / "log", children_go_on=children_go_on)
    component.start()
    assert component.process is not None
    parent = component.process.pid
    wait_for(lambda: told.exists() and told.read_text().strip())
    child = int(told.read_text())
    try:
        os.kill(parent, signal.SIGKILL)
        wait_for(component.watch)
        assert component.restarts == 1
        if children_go_on:
            assert running(child)
        else:
            wait_for(lambda: not running(child))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_the_database_stops_last_and_at_once(tmp_path):
    settings = Settings(tmp_path / "home")
    settings.home.mkdir()
    supervisor = Supervisor(settings)
    told = tmp_path / "told"
    supervisor.components.append(supervisor._postgres())
    for name in ("local-aws", "scheduler", "api-server"):
        supervisor.components.append(Component(name, [], dict(os.environ), tmp_path / name))
    for component in supervisor.components:
        traps = "; ".join(f"trap 'echo {component.name} {sent} >> {told}; exit' {sent}" for sent in ("TERM", "INT"))
        component.command = [
            "bash",
            "-c",
            f"{traps}; touch {tmp_path}/{component.name}.up; while :; do sleep 0.05; done",
        ]
        component.log = tmp_path / component.name
        component.start()
    wait_for(lambda: len(list(tmp_path.glob("*.up"))) == 4)
    supervisor._stop()
    first, *second, last = told.read_text().splitlines()
    assert (first, sorted(second), last) == ("scheduler TERM", ["api-server TERM", "local-aws TERM"], "postgres INT")
