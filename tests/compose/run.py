"""A release in containers while a worker, a scheduler and a triggerer die, and while PostgreSQL and Redis restart."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from demo import upload
from demo.__main__ import DATASET, PREFIX
from demo.follow import APPROVAL
from slipway.states import Environment
from tests.compose import images, seen
from tests.compose.engine import Engine, EngineError, Podman, found
from tools.airflow_api import AirflowApi, ApiError
from tools.debian import PackageError
from tools.environment import passwords
from tools.people import ROLES
from tools.prometheus import Prometheus
from tools.settings import ROOT, Settings

# What the images are built from and the containers mount. A copy, so that no .env of somebody's is read or written.
PARTS = ("docker-compose.yaml", "Dockerfile", ".dockerignore", "requirements.txt", "constraints.txt")
FOLDERS = ("dags", "plugins", "include", "local_aws", "tools", "tests/fab")
# What receives metrics comes first: a task would wait for it.
SERVICES = (
    *("otel-collector", "prometheus"),
    *("api-server", "scheduler", "dag-processor", "triggerer", "worker", "worker-load", "flower"),
)
PORTS = ("SLIPWAY_AIRFLOW_PORT", "SLIPWAY_AWS_PORT", "SLIPWAY_FLOWER_PORT", "SLIPWAY_PROMETHEUS_PORT")


class Trial:
    """One project, from up to down.

    :param folder: the copy of the checkout, with its .env
    """

    def __init__(self, folder: Path, console: Console) -> None:
        self.folder = folder
        self.console = console
        self.figures: dict[str, Any] = {}
        _copy(folder)
        self.engine: Engine = found(f"slipway-test-{os.getpid()}", folder)
        self.ports = _free_ports(PORTS)
        self.settings = Settings(folder / "home", self.ports["SLIPWAY_AIRFLOW_PORT"], self.ports["SLIPWAY_AWS_PORT"])
        self._write_env()
        first = passwords(self.settings, ROLES)
        self.apis = {name: AirflowApi(self.settings.airflow_url, name, first[name]) for name in ROLES}
        self.api = self.apis["alice"]
        self.run_id = ""

    def _write_env(self) -> None:
        own = images.variables() if isinstance(self.engine, Podman) else {}
        file = self.folder / ".env"
        given = {**own, **self.ports, "SLIPWAY_OTEL": True}
        file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
        variables = {name: str(port) for name, port in self.ports.items()}
        variables |= {"SLIPWAY_HOME": str(self.settings.home), "SLIPWAY_ENV_FILE": str(file)}
        command = [sys.executable, "-m", "tools.compose_env"]
        subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=True, stdout=subprocess.DEVNULL)

    @property
    def secrets(self) -> dict[str, str]:
        """What .env has."""
        lines = (self.folder / ".env").read_text().splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def note(self, what: str, value: Any) -> None:
        """Keep and print a figure."""
        self.figures[what] = value
        self.console.print(f"{what}: {value:.0f} s" if isinstance(value, float) else f"{what}: {value}")

    def build(self) -> None:
        begun = time.monotonic()
        if isinstance(self.engine, Podman):
            images.build(self.engine, self.folder)
        else:
            self.engine.compose("build")
        self.note("build", time.monotonic() - begun)

    def up(self) -> None:
        begun = time.monotonic()
        self.engine.up(SERVICES)
        self.note("up, until all are healthy", time.monotonic() - begun)

    def task(self, task_id: str) -> dict[str, Any]:
        """Return a task of the release; empty while the API server is away or the task unknown."""
        try:
            return self.api.tasks(PREFIX, self.run_id).get(task_id, {})
        except (ApiError, OSError):
            return {}

    def wait_task(self, task_id: str, *states: str) -> float:
        wanted = f"{task_id} to be {' or '.join(states)}"
        return self.engine.wait(wanted, lambda: self.task(task_id).get("state") in states)

    def find(self, version: upload.Upload) -> bool:
        """Look whether the release of an upload has started."""
        try:
            runs = self.api.runs(PREFIX)
        except ApiError as error:
            if error.status != 404:  # the DAG of the model is not parsed yet
                raise
            return False
        for run in runs:
            if (run.get("conf") or {}).get("version_id") == version.version_id:
                self.run_id = str(run["dag_run_id"])
        return bool(self.run_id)

    def kill(self, container: str) -> str:
        """Kill a container's process, note how long its restart policy takes, and return its name."""
        before = self.engine.inspect(container)["State"]["StartedAt"]
        self.engine.kill(container)
        seconds = self.engine.wait(f"{container} to start again", lambda: self._again(container, before))
        self.note(f"{self.short(container)} killed, started again after", seconds)
        return container

    def short(self, container: str) -> str:
        return container.removeprefix(self.engine.project).strip("_-")

    def _again(self, container: str, before: str) -> bool:
        state = self.engine.inspect(container)["State"]
        return bool(state["Running"] and state["StartedAt"] != before)

    def restart(self, service: str) -> None:
        names = self.engine.containers(service)
        self.engine.run("restart", *names)
        self.note(f"{service} restarted, healthy again after", self.engine.wait_healthy(names))

    def busy_worker(self) -> str:
        """Wait until a worker runs a task of the release, and return its container."""
        ids = {self.engine.inspect(name)["Config"]["Hostname"]: name for name in self.engine.containers("worker")}
        at: list[str] = []

        def look() -> bool:
            tasks = self.api.tasks(PREFIX, self.run_id).values()
            at[:] = [ids[task["hostname"]] for task in tasks if task["state"] == "running" and task["hostname"] in ids]
            return bool(at)

        self.engine.wait("a task of the release to run", look)
        return at[0]

    def release(self) -> None:
        """Release the iris model; something dies at each step."""
        begun = time.monotonic()
        engine = self.engine
        upload.upload_data(self.settings, PREFIX, DATASET)
        version = upload.upload_zip(self.settings, PREFIX)
        engine.wait("the intake to start the release", lambda: self.find(version))
        self.note("seen after the upload", time.monotonic() - begun)
        killed = [self.kill(self.busy_worker())]
        self.wait_task("train", "deferred", "success")
        killed += [self.kill(engine.containers(service)[0]) for service in ("triggerer", "scheduler")]
        self.wait_task("deploy_dev", "running", "deferred", "success")
        self.restart("postgres")
        self.wait_task(APPROVAL, "deferred")
        self.restart("redis")
        engine.wait_healthy(killed)
        self.refused()
        self.api.answer(PREFIX, self.run_id, APPROVAL, "Approve")
        engine.wait("the release to end", lambda: self._state() in ("success", "failed"))
        if self._state() != "success":
            failed = {name: task["state"] for name, task in self.api.tasks(PREFIX, self.run_id).items()}
            raise EngineError(f"the release failed: {failed}")
        self.note("release, from the upload to the end", time.monotonic() - begun)

    def _state(self) -> str:
        try:
            return str(self.api.run(PREFIX, self.run_id)["state"])
        except (ApiError, OSError):
            return ""

    def refused(self) -> None:
        """Check that whoever is no approver cannot approve."""
        for name in ("bob", "dana"):
            try:
                self.apis[name].answer(PREFIX, self.run_id, APPROVAL, "Approve")
            except ApiError as error:
                if error.status == 403:
                    continue
                raise
            raise EngineError(f"{name} approved the model")

    def check(self) -> None:
        """Compare the call ledger, both endpoints and what Flower and Prometheus show with what one release does."""
        jobs, changes = seen.jobs_and_changes(self.ledger())
        self.note("training jobs", jobs)
        self.note("changes of stacks", changes)
        tries = {name: task["try_number"] for name, task in self.api.tasks(PREFIX, self.run_id).items()}
        self.note("tasks tried again", {name: count for name, count in tries.items() if count > 1})
        for environment in Environment:
            self.note(f"{environment} predicted", seen.predicted(self.settings, environment))
        self.look_at_flower()
        self.look_at_prometheus()

    def ledger(self) -> list[dict[str, Any]]:
        container = self.engine.containers("local-aws")[0]
        text = self.engine.run("exec", container, "sh", "-c", "cat /state/ledger.*jsonl")
        return [json.loads(line) for line in text.splitlines()]

    def look_at_flower(self) -> None:
        """Wait until Flower sees each worker; after Redis' restart it hears of them with their next heartbeat."""
        there = len(self.engine.containers("worker")) + len(self.engine.containers("worker-load"))
        url = f"http://127.0.0.1:{self.ports['SLIPWAY_FLOWER_PORT']}"
        password = self.secrets["FLOWER_PASSWORD"]
        self.engine.wait(f"Flower to see {there} workers", lambda: seen.workers(url, password) == there)
        self.note("workers that Flower sees", there)

    def look_at_prometheus(self) -> None:
        """Wait until Prometheus has scraped the release, from the DAG's callback to the collector."""
        prometheus = Prometheus(f"http://127.0.0.1:{self.ports['SLIPWAY_PROMETHEUS_PORT']}")
        self.engine.wait("the release in Prometheus", lambda: seen.measured(prometheus).get(seen.RELEASED) == 1)
        for query, value in seen.measured(prometheus).items():
            self.note(f"Prometheus, {query}", int(value))

    def measure(self) -> None:
        """Note the memory of each part, and how often each was started again."""
        names = self.engine.containers()
        again = {self.short(name): int(self.engine.inspect(name)["RestartCount"]) for name in names}
        self.note("started again", {name: count for name, count in again.items() if count})
        used = self.engine.run("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names)
        for line in used.splitlines():
            name, _, memory = line.partition(" ")
            self.note(f"memory of {self.short(name)}", memory.split("/")[0].strip())

    def down_and_up(self) -> None:
        """Stop everything, start it again, and look whether production still answers."""
        begun = time.monotonic()
        self.engine.down()
        self.engine.up(SERVICES)
        seen.predicted(self.settings, Environment.PRODUCTION)
        self.note("down and up, until all are healthy and production answers", time.monotonic() - begun)
        if self._state() != "success":
            raise EngineError("after down and up the release is missing")


def _free_ports(names: Sequence[str]) -> dict[str, int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in names]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}


def _copy(folder: Path) -> None:
    for name in PARTS:
        shutil.copy(ROOT / name, folder)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))


def logs(trial: Trial, console: Console) -> None:
    """Print the end of each container's log, for a failure."""
    for name in trial.engine.containers():
        done = subprocess.run(
            [trial.engine.program, "logs", "--tail", "25", name], capture_output=True, text=True, check=False
        )
        console.print(f"--- {name}\n{done.stdout[-3000:]}{done.stderr[-3000:]}", markup=False)


def main() -> int:
    """Run the whole test; the exit code is 0 when all held and nothing is left."""
    parser = argparse.ArgumentParser(prog="make compose-test", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the containers running")
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="slipway-compose-"))
    # The containers' users look into what is mounted from here.
    folder.chmod(0o755)
    trial: Trial | None = None
    try:
        trial = Trial(folder, console)
        for step in (trial.build, trial.up, trial.release, trial.check, trial.measure, trial.down_and_up):
            step()
    except (EngineError, PackageError, ApiError, OSError) as error:
        console.print(f"compose-test: {error}", style="red", markup=False)
        if trial:
            logs(trial, console)
        return 1
    finally:
        if trial and not arguments.keep:
            trial.engine.remove()
            remains = trial.engine.remains()
            shutil.rmtree(folder)
            console.print(f"left behind: {', '.join(remains) or 'nothing'}")
    return int(bool(remains)) if not arguments.keep else 0
