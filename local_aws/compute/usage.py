"""What a container has used of the machine."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """What a container has used.

    :param cpu_seconds: since it was started
    :param memory_bytes: now
    """

    cpu_seconds: float
    memory_bytes: int


def usage_of(pid: int) -> Usage | None:
    """Read what a process has used.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html

    :param pid: the process
    :returns: None where it is gone, or the system has no /proc
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))


def usage_of_tree(pid: int) -> Usage | None:
    """Read what a process and its descendants that run have used.

    :param pid: the process
    :returns: None where it is gone, or the system has no /proc
    """
    total = usage_of(pid)
    if total is None:
        return None
    for child in _children(pid):
        if found := usage_of_tree(child):
            total = Usage(total.cpu_seconds + found.cpu_seconds, total.memory_bytes + found.memory_bytes)
    return total


def _children(pid: int) -> list[int]:
    """Return the children of all threads. https://man7.org/linux/man-pages/man5/proc_tid_children.5.html"""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return found
