"""The background process of `make up`: start the local AWS and Airflow's components, restart those that end or hang.

Airflow's own `standalone` starts the same four components but does not notice when one of them ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from tools.database import keep_trigger_ids_unique
from tools.environment import airflow_variables, api_server_variables, base_variables, database_url, write_private
from tools.liveness import Watch, instance_watch
from tools.processes import end_idle_workers, stop_leftovers, try_lock
from tools.settings import ROOT, Settings

POLL_SECONDS = 0.25
# A component that ran this long had started well: its next end does not count with the earlier ones.
SETTLED_SECONDS = 60.0
BACKOFF_MAX_SECONDS = 30.0
SWEEP_SECONDS = 5.0
# How long running tasks may take to end; then they are killed, and Airflow retries them.
STOP_GRACE_SECONDS = 20.0
LOG_MAX_BYTES = 20_000_000
AIRFLOW = ("scheduler", "dag-processor", "triggerer", "api-server")


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
    # The session of every start: a worker that outlives its scheduler still belongs to the old session.
    sessions: list[int] = field(default_factory=list)
    exit_code: int | None = None
    # Why it was restarted last.
    last_end: str = ""
    hung: str = ""

    def start(self) -> None:
        """Start the program in its own session, so that Ctrl-C in the terminal does not reach it."""
        if self.log.exists() and self.log.stat().st_size > LOG_MAX_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=ROOT,
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
            self.process.terminate()

    def kill(self) -> None:
        """Kill the whole session: a component's own children must not outlive it."""
        if self.process is not None:
            self._signal_group(signal.SIGKILL)
            self.process.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)


@dataclass
class ComponentStatus:
    """One component in the supervisor's status file."""

    pid: int | None
    started: float
    restarts: int
    failures: int
    exit_code: int | None
    log: str
    last_end: str = ""
    # Whether it has given a sign of life since it was started.
    answered: bool = False


@dataclass
class Status:
    """The supervisor's status file."""

    pid: int
    airflow_port: int
    aws_port: int
    phase: str
    sessions: list[int]
    components: dict[str, ComponentStatus] = field(default_factory=dict)

    @classmethod
    def read(cls, settings: Settings) -> Status | None:
        """Return the last status written for this instance, or None."""
        try:
            data = json.loads(settings.status_file.read_text())
        except FileNotFoundError:
            return None
        components = {name: ComponentStatus(**values) for name, values in data.pop("components").items()}
        return cls(**data, components=components)


class Supervisor:
    """Run the components until told to stop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopping = False
        self.phase = "preparing"
        self.components: list[Component] = []
        self.swept = 0.0
        self.watch: Watch = instance_watch(settings.airflow_url, settings.aws_url, database_url(settings))
        self.answered: set[str] = set()

    def run(self) -> None:
        """Start everything, watch it, and stop it at SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request_stop)
        self.watch.start()
        try:
            for step in self._steps():
                if self.stopping:
                    return
                changes = [component.watch() for component in self.components]
                if self._end_hung() or step or any(changes):
                    self._write_status()
                self._sweep()
                time.sleep(POLL_SECONDS)
        finally:
            self._stop()

    def _end_hung(self) -> bool:
        """Kill what runs but does nothing; return whether the status has changed."""
        running = {one.name: one.process.pid for one in self.components if one.process is not None}
        hung = self.watch.look(running, time.monotonic())
        for component in self.components:
            if component.name in hung:
                component.end_hung(hung[component.name])
        before, self.answered = self.answered, {name for name in running if self.watch.pulses[name].answered}
        return self.answered != before

    def _sweep(self) -> None:
        """Kill idle workers of killed schedulers; those with a task finish it first."""
        former = {pid for one in self.components if one.name == "scheduler" for pid in one.sessions[:-1]}
        if former and time.monotonic() >= self.swept + SWEEP_SECONDS:
            self.swept = time.monotonic()
            end_idle_workers(former)

    def _request_stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _steps(self) -> Iterator[bool]:
        """Yield once per turn of the loop: True when the phase has changed."""
        environment = airflow_variables(self.settings)
        self.components.append(self._local_aws())
        migration = self._migration(environment)
        if migration is not None:
            self.phase = "creating Airflow's database"
            while migration.poll() is None:
                yield False
                if self.stopping:
                    migration.kill()
            if migration.returncode != 0:
                self.phase = "failed: Airflow's database could not be created, see log/migrate.log"
            elif not self.settings.database_url:
                self._migrated.write_text(version("apache-airflow-core"))
        while self.phase.startswith("failed"):
            yield True
        if not self.settings.database_url:
            keep_trigger_ids_unique(self.settings.airflow_home / "airflow.db")
        for name in AIRFLOW:
            # The API server reads the logs of tasks and triggers from the shared disk.
            options = ["--skip-serve-logs"] if name in ("scheduler", "triggerer") else []
            command = [sys.executable, "-m", "airflow", name, *options]
            log = self.settings.logs / f"{name}.log"
            variables = api_server_variables(self.settings) if name == "api-server" else environment
            self.components.append(Component(name, command, variables, log, children_go_on=name == "scheduler"))
        self.phase = "running"
        yield True
        while True:
            yield False

    @property
    def _migrated(self) -> Path:
        return self.settings.airflow_home / "migrated"

    def _migration(self, environment: dict[str, str]) -> subprocess.Popen[bytes] | None:
        """Start `airflow db migrate`, unless this version's tables exist already."""
        self.settings.airflow_home.mkdir(parents=True, exist_ok=True)
        migrated = self._migrated.exists() and self._migrated.read_text() == version("apache-airflow-core")
        # Only for the file in the state folder is it certain that nobody has emptied it since.
        if migrated and not self.settings.database_url:
            return None
        with (self.settings.logs / "migrate.log").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _local_aws(self) -> Component:
        command = [str(ROOT / ".venv-aws" / "bin" / "python"), "-m", "local_aws"]
        command += ["--port", str(self.settings.aws_port), "--state-dir", str(self.settings.aws_state)]
        command += ["--pace", f"{self.settings.pace_seconds:g}", "--time-scale", f"{self.settings.time_scale:g}"]
        if self.settings.faults:
            command.append("--faults")
        environment = base_variables(self.settings)
        return Component("local-aws", command, environment, self.settings.logs / "local-aws.log")

    def _write_status(self) -> None:
        components = {
            component.name: ComponentStatus(
                pid=component.process.pid if component.process else None,
                started=component.started,
                restarts=component.restarts,
                failures=component.failures,
                exit_code=component.exit_code,
                log=str(component.log),
                last_end=component.last_end,
                answered=component.name in self.answered,
            )
            for component in self.components
        }
        ports = (self.settings.airflow_port, self.settings.aws_port)
        sessions = [session for component in self.components for session in component.sessions]
        status = Status(os.getpid(), *ports, self.phase, sessions, components)
        write_private(self.settings.status_file, json.dumps(asdict(status), indent=2) + "\n")

    def _stop(self) -> None:
        """Stop what starts work first, then what it needs to end well: the API server and the local AWS."""
        self.phase = "stopping"
        self._write_status()
        needed = ("api-server", "local-aws")
        for names_needed in (False, True):
            group = [component for component in self.components if (component.name in needed) is names_needed]
            for component in group:
                component.ask_to_stop()
            deadline = time.monotonic() + STOP_GRACE_SECONDS
            while any(c.process and c.process.poll() is None for c in group) and time.monotonic() < deadline:
                time.sleep(0.1)
            for component in group:
                component.kill()
        stop_leftovers(self.settings)
        self.settings.status_file.unlink(missing_ok=True)


def main() -> int:
    """Run the supervisor; its lock allows only one for each state folder."""
    settings = Settings.from_environment()
    settings.logs.mkdir(parents=True, exist_ok=True)
    lock = try_lock(settings.lock_file)
    if lock is None:
        print(f"another supervisor holds {settings.lock_file}", file=sys.stderr)
        return 1
    # Children do not inherit Python's streams, so the lock ends with this process even if children outlive it.
    with lock:
        Supervisor(settings).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
