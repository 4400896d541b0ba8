"""A program that the supervisor runs: its start, its end, and when it is started again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tools.settings import ROOT

# A component that ran this long had started well: its next end does not count with the earlier ones.
SETTLED_SECONDS = 60.0
BACKOFF_MAX_SECONDS = 30.0


def next_variables(log: Path) -> Path:
    """Return the file with variables for one start of the component that writes this log; tests of faults make it."""
    return log.with_suffix(".next.json")


@dataclass
class Component:
    """One supervised program."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    restarts: int = 0
    start_after: float = 0.0
    # Whether children may go on: those of the scheduler finish their tasks without it.
    children_go_on: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    folder: Path = ROOT  # it works in
    # The session of every start: a worker that outlives its scheduler still belongs to the old session.
    sessions: list[int] = field(default_factory=list)
    exit_code: int | None = None
    # Why it was restarted last.
    last_end: str = ""
    hung: str = ""

    def start(self) -> None:
        """Start the program in its own session, so that Ctrl-C in the terminal does not reach it."""
        next_start = next_variables(self.log)
        once = json.loads(next_start.read_text()) if next_start.exists() else {}
        next_start.unlink(missing_ok=True)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment | once,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started = time.time()
        self.sessions.append(self.process.pid)

    def watch(self) -> bool:
        """Notice an end and plan the restart, or start when it is time; return whether anything changed."""
        if self.process is None:
            if time.time() < self.start_after:
                return False
            self.start()
            return True
        code = self.process.poll()
        if code is None:
            return False
        lived = time.time() - self.started
        self.failures = 1 if lived > SETTLED_SECONDS else self.failures + 1
        self.restarts += 1
        self.exit_code = code
        self.last_end, self.hung = self.hung or f"ended with {code} after {lived:.0f} s", ""
        if not self.children_go_on:
            # They do not notice that it was killed: a triggerer's runner would go on beside the next one.
            self._signal_group(signal.SIGKILL)
        self.start_after = time.time() + min(2.0 ** (self.failures - 1), BACKOFF_MAX_SECONDS)
        self.process = None
        print(f"{self.name} {self.last_end}; restarted", flush=True)
        return True

    def end_hung(self, silent_seconds: float) -> None:
        """Kill the program because it does nothing; `watch` restarts it."""
        if self.process is None:
            return
        self.hung = f"did not answer for {silent_seconds:.0f} s"
        self.process.kill()
        if self.children_go_on:
            # They may have been stopped with it.
            self._signal_group(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)

    def kill(self) -> None:
        """Kill the whole session: a component's own children must not outlive it."""
        if self.process is not None:
            self._signal_group(signal.SIGKILL)
            self.process.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
