"""make up, down, status and clean: run the local AWS and Airflow together in the background."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from slipway.command.errors import CommandError
from tools import bootstrap_stack, broker, database, environment, fleet, logs, models, postgres
from tools.airflow_api import AirflowApi, ApiError
from tools.aws import admin_client
from tools.processes import locked, port_is_free, stop_leftovers
from tools.progress import Progress
from tools.settings import AIRFLOW_PRINCIPAL, OPERATOR_PRINCIPAL, OPERATORS, ROOT, Settings
from tools.supervisor import Status

START_TIMEOUT_SECONDS = 300.0
STOP_TIMEOUT_SECONDS = 90.0
# A component that ended this often in a row will not start by another try.
GIVE_UP_AFTER_FAILURES = 4
# How long an API server may answer before its guard is active.
GUARD_TIMEOUT_SECONDS = 30.0
GUARD = "approval guard"
POSTGRES = "PostgreSQL"
# The supervisor's names of parts that have another one here.
COMPONENTS = {"local AWS": "local-aws", POSTGRES: "postgres"}
WELL = frozenset({"healthy", "active"})
HEALTH_KEYS = {"scheduler": "scheduler", "triggerer": "triggerer", "dag-processor": "dag_processor"}


class ServicesError(Exception):
    """The services cannot be started or stopped; the message says why and what to do."""


def is_running(settings: Settings) -> bool:
    """Return whether this instance's supervisor is running."""
    if not settings.lock_file.exists():
        return False
    with locked(settings.lock_file) as free:
        return not free


def up(settings: Settings, console: Console, quiet: bool = False, labs: bool = False) -> None:
    """Start what is not running, deploy the set-up stacks, and wait until everything is healthy.

    :param quiet: print nothing when it was already running.
    :param labs: deploy the stack of the labs as well.
    :raises ServicesError: when a port is taken or a component does not start.
    """
    running, supervisor = is_running(settings), None
    if running:
        _check_same_ports(settings)
        if not quiet:
            console.print("Slipway is already running.")
    else:
        supervisor = _start_supervisor(settings, console)
    embedded = [POSTGRES] if database.kind(settings) is database.Kind.EMBEDDED else []
    names = ["AWS set-up stacks", *embedded, "local AWS", *HEALTH_KEYS, "api-server", GUARD, *_workers(settings)]
    with Progress(console, names) as progress:
        found = _wait_healthy(settings, progress, supervisor)
    if labs:
        try:
            bootstrap_stack.deploy_labs(partial(admin_client, settings), OPERATOR_PRINCIPAL)
        except CommandError as error:
            raise ServicesError(str(error)) from None
    if not (running and quiet):
        _print_broken_models(found, console)
        _print_access(settings, console)


def _check_same_ports(settings: Settings) -> None:
    status = Status.read(settings)
    if status and (status.airflow_port, status.aws_port) != (settings.airflow_port, settings.aws_port):
        raise ServicesError(
            f"Slipway is already running from {settings.home}, with Airflow on port {status.airflow_port} and "
            f"the local AWS on {status.aws_port}. Use those ports, run 'make down' first, or set another SLIPWAY_HOME "
            "for a second instance."
        )


def _start_supervisor(settings: Settings, console: Console) -> subprocess.Popen[bytes]:
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.logs.mkdir(exist_ok=True)
    left = stop_leftovers(settings)
    if left:
        console.print(f"Stopped {len(left)} processes of an interrupted Slipway.")
    if settings.airflow_port == settings.aws_port:
        raise ServicesError("SLIPWAY_AIRFLOW_PORT and SLIPWAY_AWS_PORT must differ.")
    for variable, port in (("SLIPWAY_AIRFLOW_PORT", settings.airflow_port), ("SLIPWAY_AWS_PORT", settings.aws_port)):
        if not port_is_free(port):
            raise ServicesError(
                f"Port {port} on 127.0.0.1 is used by another program. Stop it, or choose another port: "
                f"{variable}={port + 1} make up. Nothing was started."
            )
    try:
        database.check(settings)
    except database.DatabaseError as error:
        raise ServicesError(f"{error} Nothing was started.") from None
    if settings.celery_workers:
        _check_fleet(settings)
    settings.status_file.unlink(missing_ok=True)
    if note := database.why_sqlite(settings):
        console.print(note)
    environment.passwords(settings)
    environment.write_env_files(settings)
    with (settings.logs / "supervisor.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tools.supervisor"],
            env={**os.environ, **settings.variables()},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _check_fleet(settings: Settings) -> None:
    if database.url(settings).startswith("sqlite"):
        raise ServicesError("Celery workers and two schedulers need PostgreSQL. Nothing was started.")
    try:
        broker.program()
    except broker.BrokerError as error:
        raise ServicesError(f"{error} Nothing was started.") from None


def _workers(settings: Settings) -> list[str]:
    return [name for name in fleet.names(settings) if name.startswith("worker")]


def _wait_healthy(
    settings: Settings, progress: Progress, supervisor: subprocess.Popen[bytes] | None
) -> models.ModelFiles:
    """Show each part as it starts; return when all of them are healthy.

    :param supervisor: that was just started, if one was
    :returns: the model files, whose stacks have been deployed
    :raises ServicesError: when a part does not start, with the end of its log.
    """
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    found: models.ModelFiles | None = None
    unguarded_since: float | None = None
    while True:
        state = components_health(settings)
        for name, text in state.items():
            progress.update(name, text, done=text in WELL)
        if state["local AWS"] == "healthy" and found is None:
            progress.update("AWS set-up stacks", "deploying by CloudFormation")
            found = models.read(settings.include_folder)
            try:
                problems = bootstrap_stack.deploy_for(partial(admin_client, settings), found, AIRFLOW_PRINCIPAL)
            except CommandError as error:
                raise ServicesError(str(error)) from None
            progress.update("AWS set-up stacks", "; ".join(["deployed", *problems]), done=True)
        if found is not None and all(text in WELL for text in state.values()):
            _warm_up(settings, progress)
            return found
        _check_hopeless(settings, supervisor)
        unguarded_since = _check_guard(settings, state, unguarded_since)
        if time.monotonic() > deadline:
            waiting = ", ".join(f"{name} ({text})" for name, text in state.items() if text not in WELL)
            raise ServicesError(
                f"Not healthy after {START_TIMEOUT_SECONDS:.0f} s: {waiting}. The logs are in {settings.logs}."
            )
        time.sleep(0.5)


def _warm_up(settings: Settings, progress: Progress) -> None:
    """Make the API server build its routes for tasks, which it does at the first call, so that no task has to wait."""
    progress.update("api-server", "preparing to serve tasks")
    # Airflow is up even if this fails; then the first task waits.
    with contextlib.suppress(OSError):
        _open(f"{settings.airflow_url}/execution/health", timeout_seconds=120)
    progress.update("api-server", "healthy", done=True)


def _check_hopeless(settings: Settings, supervisor: subprocess.Popen[bytes] | None) -> None:
    status = Status.read(settings)
    if status is None:
        # One that was just started has no lock yet, on a busy machine for several seconds.
        ended = supervisor.poll() is not None if supervisor else not is_running(settings)
        if ended and (settings.logs / "supervisor.log").exists():
            time.sleep(2)  # another one may have been faster
            if not is_running(settings):
                raise ServicesError(f"The supervisor ended:\n{logs.tail(settings.logs / 'supervisor.log')}")
        return
    if status.phase.startswith("failed"):
        tail = logs.tail(settings.logs / "migrate.log")
        down(settings, Console(quiet=True))
        raise ServicesError(f"{status.phase}\n{tail}")
    for name, component in status.components.items():
        if component.failures >= GIVE_UP_AFTER_FAILURES:
            down(settings, Console(quiet=True))
            raise ServicesError(
                f"{name} keeps ending (last exit code {component.exit_code}); everything was stopped. "
                f"The end of {component.log}:\n{logs.tail(Path(component.log))}"
            )


def _check_guard(settings: Settings, state: dict[str, str], since: float | None) -> float | None:
    """Stop everything when the API server answers for too long without guarding approvals.

    :param since: since when it has done so, or None.
    :returns: the same, for the next check.
    :raises ServicesError: when it takes too long.
    """
    if state["api-server"] != "healthy" or state[GUARD] in WELL:
        return None
    since = since or time.monotonic()
    if time.monotonic() - since < GUARD_TIMEOUT_SECONDS:
        return since
    down(settings, Console(quiet=True))
    log = settings.logs / "api-server.log"
    raise ServicesError(
        f"The API server does not guard approvals ({state[GUARD]}), so anybody who may edit a run could approve. "
        f"Everything was stopped. Look for slipway in {log}, and fix why its plugin fails:\n{logs.tail(log)}"
    )


def components_health(settings: Settings) -> dict[str, str]:
    """Return the state of each part in a word or two; "healthy" when it works."""
    status = Status.read(settings)
    phase = status.phase if status else "starting"
    health = {}
    if status and COMPONENTS[POSTGRES] in status.components:
        health[POSTGRES] = "healthy" if postgres.answers(settings) else _silent(status, COMPONENTS[POSTGRES])
    health["local AWS"] = "healthy" if _local_aws_answers(settings) else _silent(status, "local-aws")
    api = AirflowApi(settings.airflow_url, "", "", timeout_seconds=10)
    try:
        airflow = api.health()
    except (OSError, ApiError, ValueError):
        waiting = phase if phase != "running" else _silent(status, "api-server")
        return health | dict.fromkeys([*HEALTH_KEYS, "api-server", GUARD, *_workers(settings)], waiting)
    health[GUARD] = api.guard()
    health["api-server"] = airflow["metadatabase"]["status"]
    for name, key in HEALTH_KEYS.items():
        component = status.components.get(name) if status else None
        beat = airflow[key][f"latest_{key}_heartbeat"]
        # A heartbeat from before this start says nothing about the current process.
        fresh = beat and component and datetime.fromisoformat(beat).timestamp() >= component.started
        health[name] = "healthy" if fresh and airflow[key]["status"] == "healthy" else _silent(status, name)
    if workers := _workers(settings):
        answering = fleet.answering(settings)
        health |= {name: "healthy" if name in answering else "starting" for name in workers}
    return health


def _silent(status: Status | None, name: str) -> str:
    """Return the state of a component that does not answer now."""
    component = status.components.get(name) if status else None
    return "does not answer" if component and component.answered else "starting"


def _local_aws_answers(settings: Settings) -> bool:
    try:
        return _open(f"{settings.aws_url}/_local_aws/health", timeout_seconds=10) == 200
    except (OSError, ValueError):
        return False


def _open(url: str, timeout_seconds: float) -> int:
    """Read a page of this machine, without a proxy, and return its HTTP status."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout_seconds) as response:
        return int(response.status)


def _print_broken_models(found: models.ModelFiles, console: Console) -> None:
    """Print the error of each invalid model file; the other models work."""
    for error in found.errors:
        console.print(f"Broken model file: {error}", style="yellow", markup=False)


def _print_access(settings: Settings, console: Console) -> None:
    passwords = environment.passwords(settings)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("Airflow", f"[link={settings.airflow_url}]{settings.airflow_url}[/link]")
    table.add_row("Local AWS", f"[link={settings.console_url}/]{settings.console_url}/[/link]")
    table.add_row("", f"(sign in with the key in {_shown(settings.env_file)}; ledger: {_shown(settings.ledger)})")
    roles = {"admin": "administrator", "alice": "approver", "carol": "approver", "bob": "operator, approves no model"}
    for user in ("admin", *OPERATORS):
        table.add_row(f"Login {user}", f"{passwords[user]}  ({roles[user]})")
    table.add_row("For your shell", f"source {_shown(settings.env_file)}")
    console.print(table)


def _shown(path: Path) -> str:
    """Return a path relative to the repository where possible."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def down(settings: Settings, console: Console) -> None:
    """Stop the supervisor, its processes and those that an interrupted one left behind; the state stays.

    :raises ServicesError: when something cannot be stopped.
    """
    status = Status.read(settings)
    running = is_running(settings)
    if running and status:
        with console.status("Stopping Airflow and the local AWS …"):
            _stop_supervisor(settings, status)
    left = stop_leftovers(settings)
    postgres.remove_rest(settings)
    broker.remove_socket(settings)
    settings.status_file.unlink(missing_ok=True)
    if is_running(settings):
        raise ServicesError(f"The supervisor still holds {settings.lock_file}; see {settings.logs / 'supervisor.log'}.")
    console.print("Stopped." if running or left else "Nothing was running.")


def _stop_supervisor(settings: Settings, status: Status) -> None:
    for ask in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(status.pid, ask)
        deadline = time.monotonic() + (STOP_TIMEOUT_SECONDS if ask == signal.SIGTERM else 5)
        while is_running(settings) and time.monotonic() < deadline:
            time.sleep(0.2)
        if not is_running(settings):
            return


def print_status(settings: Settings, console: Console) -> bool:
    """Print what is running, and return whether everything is healthy."""
    status = Status.read(settings)
    if status is None or not is_running(settings):
        console.print(f"Not running (state folder {_shown(settings.home)}). Start it with: make up")
        return False
    health = components_health(settings)
    table = Table("part", "state", "pid", "restarts", "log", "last restart", box=None, padding=(0, 2, 0, 0))
    for name, state in health.items():
        component = status.components.get(COMPONENTS.get(name, name))
        pid, restarts = (str(component.pid or "-"), str(component.restarts)) if component else ("-", "-")
        colour = "green" if state in WELL else "yellow"
        log = _shown(Path(component.log)) if component else "-"
        last_end = component.last_end if component else ""
        table.add_row(name, f"[{colour}]{state}[/{colour}]", pid, restarts, log, last_end)
    console.print(table)
    _print_broken_models(models.read(settings.include_folder), console)
    _print_access(settings, console)
    return all(state in WELL for state in health.values())


def clean(settings: Settings, console: Console) -> None:
    """Stop everything and remove the state folder."""
    down(settings, console)
    if not settings.home.exists():
        return
    if not settings.lock_file.exists():
        raise ServicesError(f"{settings.home} does not look like a state folder of Slipway, so it was not removed.")
    shutil.rmtree(settings.home)
    console.print(f"Removed {_shown(settings.home)}.")


def main() -> int:
    """Run a command of the make targets."""
    parser = argparse.ArgumentParser(prog="tools.services", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status", "clean"])
    parser.add_argument("--quiet", action="store_true", help="up: print nothing when it is already running")
    parser.add_argument("--labs", action="store_true", help="up: deploy the stack of the labs as well")
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    try:
        settings = Settings.from_environment()
        if arguments.command == "up":
            up(settings, console, arguments.quiet, arguments.labs)
        elif arguments.command == "down":
            down(settings, console)
        elif arguments.command == "clean":
            clean(settings, console)
        elif not print_status(settings, console):
            return 3
    except (ServicesError, ValueError) as error:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"make: {error}")
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. 'make status' shows what is running, 'make down' stops it.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
