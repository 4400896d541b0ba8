"""What a container has used of the machine."""

from __future__ import annotations

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
