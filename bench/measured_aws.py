"""A local AWS of the benchmark's, whose CPU time is measured."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.aws import Server, free_port
from tools.environment import admin_variables
from tools.settings import ROOT, Settings

# What a call has changed may be saved this long after it.
SAVED_SECONDS = 2.5
_START_SECONDS = 300


class Running:
    """A local AWS whose CPU time is measured."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._settings = Settings(home, aws_port=free_port())
        self._process: subprocess.Popen[bytes] | None = None
        self.started_cpu_seconds = self.stopped_seconds = 0.0

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        command: list[str | Path] = [ROOT / ".venv-aws/bin/python", "-m", "local_aws"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        log = self.home / "log"
        with log.open("wb") as written:
            self._process = subprocess.Popen(
                [*command, "--port", str(self._settings.aws_port), "--state-dir", self.home / "aws"],
                cwd=ROOT,
                env=environment,
                stdout=written,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _START_SECONDS
        while b"Ready at" not in log.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"bench: the local AWS did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        self.started_cpu_seconds = self.cpu_seconds()
        self.server = Server(self._settings.aws_url, self.home, admin_variables(self._settings), self._process.pid)
        self.cloudformation, self.cloudwatch = self.server.client("cloudformation"), self.server.client("cloudwatch")

    def cpu_seconds(self) -> float:
        """Return what its own process has used, without those of models."""
        assert self._process is not None  # noqa: S101 - started
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(_on_cpu_seconds(task) for task in tasks)

    def loop_cpu_seconds(self) -> float:
        """Return what its event loop has used, behind which calls wait."""
        assert self._process is not None  # noqa: S101 - started
        return _on_cpu_seconds(Path(f"/proc/{self._process.pid}"))

    def cost(self, work: Callable[[], object]) -> float:
        """Return the CPU time of some work, and of saving what it changed."""
        before = self.cpu_seconds()
        work()
        time.sleep(SAVED_SECONDS)
        return self.cpu_seconds() - before

    def stop(self) -> None:
        """Stop it as `make down` does."""
        assert self._process is not None  # noqa: S101 - started
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self.stopped_seconds = time.monotonic() - began


def _on_cpu_seconds(task: Path) -> float:
    """Return the CPU time of a thread: https://docs.kernel.org/scheduler/sched-stats.html, /proc/<pid>/schedstat."""
    with contextlib.suppress(OSError):
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    return 0.0
