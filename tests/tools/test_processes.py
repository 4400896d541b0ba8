from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tools.processes import IDLE_WORKER, end_idle_workers


@pytest.fixture
def titled():
    """Starts a process under a title, in a session of its own."""
    started = []

    def start(title: str) -> subprocess.Popen[bytes]:
        command = ["bash", "-c", 'exec -a "$1" sleep 300', "bash", title]
        process = subprocess.Popen(command, start_new_session=True)
        started.append(process)
        while not Path(f"/proc/{process.pid}/cmdline").read_text().startswith(title):
            time.sleep(0.01)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_only_workers_without_a_task_of_ended_schedulers_are_ended(titled):
    idle = titled(IDLE_WORKER)
    busy = titled("airflow worker -- LocalExecutor: 01a21382-98b2")
    of_the_living = titled(IDLE_WORKER)
    sessions = {os.getsid(process.pid) for process in (idle, busy)}
    assert end_idle_workers(sessions) == [idle.pid]
    assert idle.wait() < 0
    assert busy.poll() is None
    assert of_the_living.poll() is None
    assert end_idle_workers(sessions) == []
