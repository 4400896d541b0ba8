"""Remove what a killed PostgreSQL server leaves behind: its processes, and its process id, which another may have."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

END_SECONDS = 10.0


def forget(data: Path, marker: str) -> bool:
    """Let a server start on the data of a killed one.

    PostgreSQL sees only that the process of the id exists, and refuses to start. In containers, which count from 1
    after each start, that is likely. It takes its own process id for one that was used again, and then still looks
    whether processes of the killed server use the data; so the file is not removed.

    :param data: the folder of the database
    :param marker: a variable, NAME=value, that servers of this instance have in their environment
    :returns: whether there was a killed server
    """
    file = data / "postmaster.pid"
    if not file.exists():
        return False
    lines = file.read_text().splitlines()
    if not lines or not lines[0].isdecimal() or _serves(int(lines[0]), marker):
        return False
    file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    end_processes(data)
    return True


def end_processes(data: Path) -> None:
    """Kill the processes that work on the data of a server that has ended.

    They notice its end and end too, unless they are stopped or hang. They are no members of its process group, and as
    long as one of them lives, no other server starts on the data.
    """
    deadline = time.monotonic() + END_SECONDS
    while (found := _processes(data)) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _processes(data: Path) -> list[int]:
    """Return PostgreSQL's processes in this folder: it is their working directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "exe").readlink().name.startswith("postgres") and (entry / "cwd").samefile(data):
                found.append(int(entry.name))
    return found


def _serves(pid: int, marker: str) -> bool:
    """Return whether a process is a server of this instance."""
    process = Path("/proc") / str(pid)
    try:
        program = Path(process.joinpath("cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")).name
        environment = process.joinpath("environ").read_bytes().split(b"\0")
    except OSError:
        # Without /proc PostgreSQL decides alone.
        return not Path("/proc/self").exists()
    return program == "postgres" and marker.encode() in environment
