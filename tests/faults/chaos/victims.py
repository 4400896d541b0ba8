"""Who can be hit: the processes of one instance, found by what its supervisor started, signalled by their ids."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tests.faults.chaos.evidence import Process
from tools.processes import supervised
from tools.settings import Settings
from tools.supervisor import ComponentStatus, Status

# What kinds there are, and the names that the supervisor has for those that it starts.
COMPONENTS = {
    "scheduler": "scheduler",
    "triggerer": "triggerer",
    "API server": "api-server",
    "local AWS": "local-aws",
    "database": "postgres",
}
# The process of a task bears the id of its attempt in its title.
_TASK = re.compile(r"airflow worker -- [0-9a-f]{8}-[0-9a-f-]{27}")


@dataclass(frozen=True)
class Victim:
    """A process to hit.

    :param family: whether its process group is hit with it, as when a container ends; else it is hit alone, as when the
        kernel is out of memory
    """

    kind: str
    pid: int
    family: bool = False

    def send(self, number: signal.Signals) -> bool:
        """Send a signal. :returns: whether there was a process to receive it"""
        try:
            if self.family:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def component_of(settings: Settings, kind: str) -> ComponentStatus | None:
    """:returns: what the supervisor says of a component; None if this instance has none of this kind"""
    status = Status.read(settings)
    return status.components.get(COMPONENTS[kind]) if status else None


def find(settings: Settings, kind: str, chance: random.Random) -> Victim | None:
    """Look for a living process of a kind.

    :param settings: the instance
    :param kind: task, or one of COMPONENTS
    :param chance: decides which, and whether it is hit alone
    """
    if kind == "task":
        return _task(settings, chance)
    component = component_of(settings, kind)
    # The supervisor gives each component a session, and so a group, of its own.
    return Victim(kind, component.pid, chance.random() < 0.5) if component and component.pid else None


def child_of(settings: Settings, victim: Victim) -> Victim:
    """:returns: the first process that this one has started, such as a triggerer's runner; itself if there is none"""
    children = sorted(pid for pid in supervised(settings) if _parent(pid) == victim.pid)
    return Victim(victim.kind, children[0]) if children else victim


def _task(settings: Settings, chance: random.Random) -> Victim | None:
    running = sorted(pid for pid, command in supervised(settings).items() if _TASK.match(command))
    if not running:
        return None
    pid = chance.choice(running)
    # Either the task's own process or the worker that watches it; the parent of one whose worker has died is init.
    worker = _parent(pid)
    return Victim("task", worker if worker and worker > 1 and chance.random() < 0.3 else pid)


def task_components(settings: Settings) -> list[str]:
    """:returns: the components that run a task now, such as a Celery worker"""
    status = Status.read(settings)
    names = {one.pid: name for name, one in status.components.items() if one.pid} if status else {}
    running = [pid for pid, command in supervised(settings).items() if _TASK.match(command)]
    return sorted({name for pid in running for ancestor, name in names.items() if _descends(pid, {ancestor})})


def component_family(settings: Settings, kind: str) -> list[int]:
    """:returns: the processes of all components of a kind, such as triggerer and triggerer-2"""
    status = Status.read(settings)
    roots = (
        {one.pid for name, one in status.components.items() if name.startswith(kind) and one.pid} if status else set()
    )
    return [pid for pid in supervised(settings) if _descends(pid, roots)]


def strays(settings: Settings) -> list[Process]:
    """Find the instance's processes that descend from none of those that the supervisor runs now."""
    status = Status.read(settings)
    if status is None:
        return []
    ours = {status.pid, *(one.pid for one in status.components.values() if one.pid)}
    commands = supervised(settings)
    return [Process(pid, command) for pid, command in sorted(commands.items()) if not _descends(pid, ours)]


def _descends(pid: int, ancestors: Collection[int | None]) -> bool:
    current: int | None = pid
    while current and current > 1:
        if current in ancestors:
            return True
        current = _parent(current)
    return False


def _parent(pid: int) -> int | None:
    """https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None
