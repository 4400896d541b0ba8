"""Starts sandboxes, on the machine's side."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from local_aws.compute.sandbox.spec import SandboxSpec, owned_by_sandbox

_SOURCE_ROOT = Path(__file__).resolve().parents[3]
_CGROUPS = Path("/sys/fs/cgroup")


@functools.cache
def why_not() -> str:
    """Tell why this process can make no sandbox; empty where it can.

    :returns: the reason, with what to do
    """
    fix = "start the local AWS as root on a Linux that lets root make namespaces"
    if sys.platform != "linux":
        return f"images need Linux: {fix}"
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return f"images need root, which makes the namespaces that they run in: {fix}"
    attempt = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--user", "--fork", "true"]
    found = subprocess.run(attempt, capture_output=True, text=True, check=False)
    return (
        f"images need namespaces, which this machine refuses ({found.stderr.strip()}): {fix}"
        if found.returncode
        else ""
    )


class Sandbox:
    """A started sandbox.

    :param process: its launcher, the leader of a process group, which ends as the program ends
    :param cgroups: the control groups that were made for it
    """

    def __init__(self, process: subprocess.Popen[str], cgroups: Sequence[Path]) -> None:
        self.process = process
        self._cgroups = cgroups

    def clean(self) -> None:
        """Remove what it used of the machine, once no process of it is left."""
        _remove_cgroups(self._cgroups)


def start(
    spec: SandboxSpec, *, stdin: int | IO[Any] = subprocess.DEVNULL, output: int | None = subprocess.PIPE
) -> Sandbox:
    """Start a sandbox.

    :param spec: what runs in it
    :param stdin: its standard input
    :param output: its standard output and error
    """
    cgroups = _new_cgroups(spec)
    points = Path(spec.scratch) / "points"
    _make_points(points, spec)
    spec = replace(spec, lower=(str(points), *spec.lower), cgroups=tuple(map(str, cgroups)))
    descriptor = os.memfd_create("sandbox")
    try:
        os.write(descriptor, spec.to_json().encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        process = subprocess.Popen(
            [sys.executable, "-S", "-m", "local_aws.compute.sandbox.launcher", str(descriptor)],
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[descriptor],
            # Its first process has this environment until it executes the program.
            env={"PYTHONPATH": str(_SOURCE_ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=True,
            text=True,
            errors="replace",
        )
    finally:
        os.close(descriptor)
    return Sandbox(process, cgroups)


def _make_points(folder: Path, spec: SandboxSpec) -> None:
    """Make what the binds are mounted on, as the topmost layer, so that no image can have put links there."""
    folder.mkdir()
    for bind in spec.binds:
        point = folder / bind.target.lstrip("/")
        if Path(bind.source).is_dir():
            point.mkdir(parents=True, exist_ok=True)
        else:
            point.parent.mkdir(parents=True, exist_ok=True)
            point.touch()
    owned_by_sandbox(folder)


def _new_cgroups(spec: SandboxSpec) -> list[Path]:
    """Make control groups below this process's own for memory and processes, where the machine lets it.

    https://docs.kernel.org/admin-guide/cgroup-v2.html, and cgroup-v1/ beside it
    """
    made = []
    name = f"slipway-{uuid.uuid4().hex[:12]}"
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        wanted = {
            "memory": {"memory.limit_in_bytes": spec.limits.memory_bytes},
            "pids": {"pids.max": spec.limits.processes},
            "": {"memory.max": spec.limits.memory_bytes, "pids.max": spec.limits.processes},
        }.get(controllers)
        parent = _CGROUPS / controllers / path.lstrip("/")
        # Where both versions are mounted, the second one is elsewhere and has no controllers.
        if wanted is None or not (parent / "cgroup.procs").exists():
            continue
        _remove_cgroups(_forgotten(parent))
        folder = parent / name
        try:
            folder.mkdir()
            for file, value in wanted.items():
                (folder / file).write_text(str(value))
        except OSError:
            _remove_cgroups([folder])
        else:
            made.append(folder)
    return made


def _forgotten(parent: Path) -> list[Path]:
    """Return the control groups of processes that were killed; those still in use cannot be removed."""
    long_ago = time.time() - 3600
    found = []
    for folder in parent.glob("slipway-*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < long_ago:
                found.append(folder)
    return found


def _remove_cgroups(folders: Sequence[Path]) -> None:
    """Remove control groups in which no process is left."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
