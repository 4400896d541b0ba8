"""Find and stop the processes of an instance, and check ports and locks."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tools.environment import MARKER
from tools.settings import Settings

# The process title of a LocalExecutor worker between two tasks.
IDLE_WORKER = "airflow worker -- LocalExecutor: <idle>"
# What the titles contain that Airflow and Celery give their processes.
TITLES = re.compile("airflow|celery")


def supervised(settings: Settings) -> dict[int, str]:
    """Return the running processes that this instance's supervisor started, directly or not.

    A recorded process id may belong to another program by now. A process is ours if the environment it was started with
    has our marker, or if it is an Airflow process in a session of the supervisor: Airflow overwrites that environment
    with its process titles.

    :returns: process id → command line; empty on systems without /proc.
    """
    marker = f"{MARKER}={settings.home}".encode()
    sessions = recorded_sessions(settings)
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if not command or int(entry.name) == os.getpid():  # a zombie has no command line and cannot be stopped
                continue
            session = _session_of(entry)
            marked = marker in (entry / "environ").read_bytes().split(b"\0")
            if marked or (session in sessions and TITLES.search(command)):
                found[int(entry.name)] = command
    return found


def recorded_sessions(settings: Settings) -> set[int]:
    """Return the session ids in the supervisor's status file."""
    try:
        status = json.loads(settings.status_file.read_text())
    except FileNotFoundError:
        return set()
    return set(status["sessions"])


def end_idle_workers(sessions: set[int]) -> list[int]:
    """Kill the LocalExecutor workers that a killed scheduler has left behind, once they have no task.

    A worker waits for the next task on a pipe that the other workers also hold open, so it never notices that the
    scheduler is gone.

    :param sessions: the sessions of schedulers that have ended
    :returns: the process ids
    """
    ended = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            title = (entry / "cmdline").read_bytes().decode(errors="replace")
            if title.startswith(IDLE_WORKER) and _session_of(entry) in sessions:
                os.kill(int(entry.name), signal.SIGKILL)
                ended.append(int(entry.name))
    return ended


def _session_of(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[3])


def stop_leftovers(settings: Settings, grace_seconds: float = 5.0) -> list[str]:
    """Stop every supervised process: with SIGTERM first, then with SIGINT, then with SIGKILL.

    At SIGTERM PostgreSQL waits until its clients have ended, which had the same signal; at SIGINT it ends.
    https://www.postgresql.org/docs/current/server-shutdown.html

    :returns: the command lines of the processes.
    """
    commands = list(supervised(settings).values())
    for ask in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        deadline = time.monotonic() + grace_seconds
        for pid in supervised(settings):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, ask)
        while supervised(settings) and time.monotonic() < deadline:
            time.sleep(0.1)
    return commands


def port_is_free(port: int) -> bool:
    """Return whether a server can listen on the loopback's port now."""
    with socket.socket() as probe:
        # As servers do: old connections in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def try_lock(path: Path) -> IO[str] | None:
    """Lock a file until the returned stream is closed; return None while another process has the lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return None
    return stream


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock file inside the block; yield whether the lock could be taken."""
    stream = try_lock(path)
    try:
        yield stream is not None
    finally:
        if stream is not None:
            stream.close()
