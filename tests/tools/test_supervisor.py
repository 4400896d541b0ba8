from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from tools.supervisor import Component


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
