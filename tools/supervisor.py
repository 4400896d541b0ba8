"""The background process of `make up`: start the database, the local AWS and Airflow, restart what ends or hangs.

Airflow's own `standalone` starts the same four components but does not notice when one of them ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial

from tools import airflow_program, database, fleet, logs, migration, postgres
from tools.component import Component
from tools.environment import airflow_variables, api_server_variables, base_variables, write_private
from tools.liveness import AIRFLOW_HEALTH, PROBE_TIMEOUT_SECONDS, SQLITE_SECONDS, Probe, Watch, page_probe
from tools.processes import end_idle_workers, stop_leftovers, try_lock
from tools.settings import ROOT, Settings

POLL_SECONDS = 0.25
SWEEP_SECONDS = 5.0
LOGS_SECONDS = 5.0
# How long running tasks may take to end; then they are killed, and Airflow retries them.
STOP_GRACE_SECONDS = 20.0
AIRFLOW = ("scheduler", "dag-processor", "triggerer", "api-server")


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


def instance_watch(settings: Settings, kind: database.Kind) -> Watch:
    """Build the watch of the components of an instance."""
    airflow = page_probe(settings.airflow_url + AIRFLOW_HEALTH)
    servers = {"local-aws": page_probe(f"{settings.aws_url}/_local_aws/health")}
    if kind is database.Kind.EMBEDDED:
        servers["postgres"] = Probe(partial(postgres.ask, settings, PROBE_TIMEOUT_SECONDS))
        return Watch(airflow, servers, database="postgres")
    # A writer of SQLite may hold up the whole API server for as long as another has the lock.
    sqlite = database.url(settings).startswith("sqlite")
    return Watch(airflow, servers, {"api-server": SQLITE_SECONDS} if sqlite else {})


class Supervisor:
    """Run the components until told to stop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # Decided once: it depends on what is in the state folder.
        self._kind = database.kind(settings)
        self.stopping = False
        self.phase = "preparing"
        self.components: list[Component] = []
        self.swept = 0.0
        self.logs_bounded = 0.0
        self.watch = instance_watch(settings, self._kind)
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
                self._bound_logs()
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
        former = {pid for one in self.components if one.name.startswith("scheduler") for pid in one.sessions[:-1]}
        if former and time.monotonic() >= self.swept + SWEEP_SECONDS:
            self.swept = time.monotonic()
            end_idle_workers(former)

    def _bound_logs(self) -> None:
        """Keep logs from growing for as long as the instance lives; all who write them append."""
        if time.monotonic() < self.logs_bounded + LOGS_SECONDS:
            return
        self.logs_bounded = time.monotonic()
        for log in (self.settings.logs / "supervisor.log", *(component.log for component in self.components)):
            logs.shorten(log)
        logs.remove_old_parsing(self.settings.parsing_logs)

    def _request_stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _steps(self) -> Iterator[bool]:
        """Yield once per turn of the loop: True when the phase has changed."""
        environment = airflow_variables(self.settings)
        if self._kind is database.Kind.EMBEDDED:
            self.components.append(self._postgres())
        self.components.append(self._local_aws())
        if self._kind is database.Kind.EMBEDDED:
            self.phase = "starting PostgreSQL"
            while not postgres.answers(self.settings):
                yield False
        self.settings.airflow_home.mkdir(parents=True, exist_ok=True)
        if not migration.is_done(self.settings, self._kind):
            self.phase = "creating Airflow's database"
            process = migration.start(self.settings, environment)
            while process.poll() is None:
                yield False
                if self.stopping:
                    process.kill()
            if process.returncode == 0:
                migration.note_done(self.settings, self._kind)
            else:
                self.phase = "failed: Airflow's database could not be created, see log/migrate.log"
        while self.phase.startswith("failed"):
            yield True
        if self._kind is database.Kind.FILE:
            database.keep_trigger_ids_unique(database.sqlite_file(self.settings))
        if self.settings.celery_workers:
            fleet.make_result_database(self.settings)
            self.components.append(fleet.redis_component(self.settings, base_variables(self.settings)))
        for name in AIRFLOW:
            if self.settings.celery_workers and name in ("scheduler", "triggerer"):
                self.components.append(fleet.component(self.settings, name, environment))
                continue
            # The API server reads the logs of tasks and triggers from the shared disk.
            options = ["--skip-serve-logs"] if name in ("scheduler", "triggerer") else []
            command = airflow_program.command(name, *options)
            log = self.settings.logs / f"{name}.log"
            variables = api_server_variables(self.settings) if name == "api-server" else environment
            self.components.append(Component(name, command, variables, log, children_go_on=name == "scheduler"))
        for name in fleet.names(self.settings):
            self.components.append(fleet.component(self.settings, name, environment))
        self.phase = "running"
        yield True
        while True:
            yield False

    def _postgres(self) -> Component:
        command = [sys.executable, "-m", "tools.postgres"]
        log = self.settings.logs / "postgres.log"
        # Fast shutdown: https://www.postgresql.org/docs/current/server-shutdown.html
        return Component("postgres", command, base_variables(self.settings), log, stop_signal=signal.SIGINT)

    def _local_aws(self) -> Component:
        command = [str(ROOT / ".venv-aws" / "bin" / "python"), "-m", "local_aws"]
        command += ["--port", str(self.settings.aws_port), "--state-dir", str(self.settings.aws_state)]
        command += ["--pace", f"{self.settings.pace_seconds:g}", "--time-scale", f"{self.settings.time_scale:g}"]
        command += ["--compute", self.settings.compute]
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
        """Stop what starts work first, then what it needs to end well: API server and local AWS, then the database."""
        self.phase = "stopping"
        self._write_status()
        turns = {"api-server": 1, "local-aws": 1, fleet.REDIS: 2, "postgres": 2}
        for turn in range(3):
            group = [component for component in self.components if turns.get(component.name, 0) == turn]
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
