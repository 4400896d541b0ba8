from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tools import logs
from tools.component import Component
from tools.database import Kind
from tools.liveness import SQLITE_SECONDS
from tools.settings import Settings
from tools.supervisor import Supervisor, instance_watch


def wait_for(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


def running(pid: int) -> bool:
    return state(pid) not in ("Z", "gone")


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


# Waits for a signal and writes down which it was. A shell's trap may miss one between two commands.
TELLS_ITS_SIGNAL = """
import signal, sys
name, told, up = sys.argv[1:]
signals = {signal.SIGTERM, signal.SIGINT}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
open(up, "w").close()
sent = signal.Signals(signal.sigwait(signals)).name.removeprefix("SIG")
open(told, "a").write(f"{name} {sent}\\n")
"""


def test_the_database_stops_last_and_at_once(tmp_path):
    settings = Settings(tmp_path / "home")
    settings.home.mkdir()
    supervisor = Supervisor(settings)
    told = tmp_path / "told"
    supervisor.components.append(supervisor._postgres())
    for name in ("local-aws", "scheduler", "api-server"):
        supervisor.components.append(Component(name, [], dict(os.environ), tmp_path / name))
    for component in supervisor.components:
        up = str(tmp_path / f"{component.name}.up")
        component.command = [sys.executable, "-S", "-c", TELLS_ITS_SIGNAL, component.name, str(told), up]
        component.log = tmp_path / component.name
        component.start()
    wait_for(lambda: len(list(tmp_path.glob("*.up"))) == 4)
    supervisor._stop()
    first, *second, last = told.read_text().splitlines()
    assert (first, sorted(second), last) == ("scheduler TERM", ["api-server TERM", "local-aws TERM"], "postgres INT")


def test_logs_are_bounded_while_their_components_live(tmp_path):
    settings = Settings(tmp_path / "home")
    settings.logs.mkdir(parents=True)
    supervisor = Supervisor(settings)
    # One that lives, one that waits for its next start, and what the supervisor itself prints.
    names = ("dag-processor", "api-server")
    supervisor.components += [Component(name, [], {}, settings.logs / f"{name}.log") for name in names]
    long = [settings.logs / f"{name}.log" for name in (*names, "supervisor")]
    old = settings.parsing_logs / "2020-01-01"
    old.mkdir(parents=True)
    for log in long:
        with log.open("wb") as stream:
            stream.truncate(3 * logs.MAX_BYTES)
    supervisor._bound_logs()
    assert [log.stat().st_size for log in long] == [0, 0, 0]
    assert {logs.former(log).stat().st_size for log in long} == {logs.MAX_BYTES}
    assert not old.exists()


def test_the_api_server_may_wait_for_sqlites_lock(tmp_path):
    on_file = instance_watch(Settings(tmp_path, database_url="sqlite"), Kind.FILE)
    assert on_file.patience_seconds == {"api-server": SQLITE_SECONDS}
    given = instance_watch(Settings(tmp_path, database_url="postgresql+psycopg2://airflow@host/airflow"), Kind.GIVEN)
    assert (given.patience_seconds, given.database) == ({}, None)


def test_the_embedded_database_is_watched(tmp_path):
    watch = instance_watch(Settings(tmp_path), Kind.EMBEDDED)
    assert (watch.patience_seconds, watch.database) == ({}, "postgres")
    assert watch.servers["postgres"].ask() is None


@pytest.mark.parametrize("children_go_on", [False, True])
def test_a_component_that_does_nothing_is_killed_and_restarted(tmp_path, children_go_on):
    told = tmp_path / "child"
    command = ["bash", "-c", f"sleep 300 & echo $! > {told}; wait"]
    component = Component("any", command, dict(os.environ), tmp_path / "log", children_go_on=children_go_on)
    component.start()
    assert component.process is not None
    wait_for(lambda: told.exists() and told.read_text().strip())
    child = int(told.read_text())
    os.killpg(component.process.pid, signal.SIGSTOP)
    try:
        component.end_hung(36.4)
        wait_for(component.watch)
        assert (component.restarts, component.last_end) == (1, "did not answer for 36 s")
        if children_go_on:
            wait_for(lambda: state(child) == "S")
        else:
            wait_for(lambda: not running(child))
        wait_for(component.watch)
        component.process.kill()
        wait_for(component.watch)
        assert component.last_end.startswith("ended with -9 after")
    finally:
        component.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
