"""A real Airflow and a real local AWS, as `make up` starts them, on ports and in a state folder of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from demo import predictions, upload
from demo.datasets import load
from tools import e2e, environment, fab
from tools.airflow_api import AirflowApi, ApiError
from tools.aws import client
from tools.settings import ROOT, Settings

# Guards against hanging only: no test says how fast something must be.
PATIENCE_SECONDS = 300.0
# Beside dags/: what Slipway is measured against.
_LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
_BUNDLES = [
    {"name": "dags-folder", "classpath": _LOCAL_BUNDLE, "kwargs": {}},
    {"name": "stock", "classpath": _LOCAL_BUNDLE, "kwargs": {"path": str(ROOT / "tests/faults/stock/dags")}},
]
# What else the instance is to be: E2E_SLIPWAY_DATABASE_URL is its SLIPWAY_DATABASE_URL, and so on. The variables of a
# developer's own instance must not reach it, so they have another name.
_CHOSEN = {
    name.removeprefix(e2e.PREFIX): value
    for name, value in os.environ.items()
    if name.startswith(f"{e2e.PREFIX}SLIPWAY_")
}
_EXTRA = {"SLIPWAY_AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(_BUNDLES)} | _CHOSEN
# Takes minutes and is for other kinds of instances only.
collect_ignore = [] if _CHOSEN else ["test_approval_elsewhere.py"]


@dataclass
class Instance:
    """One running Slipway and what a test asks of it."""

    settings: Settings
    include: Path
    _apis: dict[str, AirflowApi] = field(default_factory=dict)

    def services(self, command: str) -> None:
        """Runs what a make target runs."""
        self.run("tools.services", command)

    def run(self, module: str, command: str) -> None:
        """Runs one of the tools for this instance."""
        variables = self.settings.variables() | _EXTRA | {"SLIPWAY_INCLUDE_FOLDER": str(self.include)}
        done = subprocess.run(
            [sys.executable, "-m", module, command],
            cwd=ROOT,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def api(self, user: str = "alice") -> AirflowApi:
        if user not in self._apis:
            password = environment.passwords(self.settings)[user]
            self._apis[user] = AirflowApi(self.settings.airflow_url, user, password)
        return self._apis[user]

    def client(self, service: str) -> Any:
        return client(self.settings, service)

    def ledger(self, **wanted: str) -> list[dict[str, Any]]:
        """The lines of the call ledger whose fields have these values."""
        lines = [json.loads(line) for line in self.settings.ledger.read_text().splitlines()]
        return [line for line in lines if all(line[name] == value for name, value in wanted.items())]

    def wait(self, what: str, condition: Callable[[], Any]) -> Any:
        """Polls until the condition gives something; returns that."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                if value := condition():
                    return value
            except ApiError as error:
                if error.status != 404:
                    raise
            time.sleep(1)
        raise AssertionError(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}")

    def run_of(self, dag_id: str, version_id: str) -> str:
        """The id of the run that released this version, once there is one."""

        def started() -> str | None:
            found = self.runs_of(dag_id, version_id)
            return found[0] if found else None

        run_id: str = self.wait(f"a run of {dag_id} for version {version_id}", started)
        return run_id

    def runs_of(self, dag_id: str, version_id: str) -> list[str]:
        runs = self.api().runs(dag_id)
        return [run["dag_run_id"] for run in runs if (run["conf"] or {}).get("version_id") == version_id]

    def wait_task(self, dag_id: str, run_id: str, task_id: str, *states: str) -> None:
        """Waits for a state of a task.

        :raises AssertionError: when the run ends without it, with the logs of what failed.
        """

        def reached() -> bool:
            tasks = self.api().tasks(dag_id, run_id)
            if tasks.get(task_id, {}).get("state") in states:
                return True
            ended = self.api().run(dag_id, run_id)["state"] in ("success", "failed")
            assert not ended, self.story(dag_id, run_id)
            return False

        self.wait(f"{task_id} of {run_id} to be {' or '.join(states)}", reached)

    def wait_end(self, dag_id: str, run_id: str) -> str:
        """Waits for the run's end. Returns its state."""
        state: str = self.wait(f"the end of {run_id}", lambda: self._ended(dag_id, run_id))
        return state

    def _ended(self, dag_id: str, run_id: str) -> str | None:
        state: str = self.api().run(dag_id, run_id)["state"]
        return state if state in ("success", "failed") else None

    def wait_approval(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Waits until the release asks its question. Returns the screen."""
        self.wait_task(dag_id, run_id, "approve", "deferred", "awaiting_input")
        screen: dict[str, Any] = self.wait("the screen", lambda: self.api().approval(dag_id, run_id, "approve"))
        return screen

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        task = self.api().tasks(dag_id, run_id)[task_id]
        return "\n".join(self.api().log_lines(dag_id, run_id, task_id, task["try_number"]))

    def failed_tasks(self, dag_id: str, run_id: str) -> list[str]:
        """The tasks that failed themselves."""
        return [name for name, task in self.api().tasks(dag_id, run_id).items() if task["state"] == "failed"]

    def story(self, dag_id: str, run_id: str) -> str:
        """The states of all tasks and the end of each failed one's log, for an assertion's message."""
        tasks = self.api().tasks(dag_id, run_id)
        states = {name: task["state"] for name, task in tasks.items()}
        logs = [f"--- {name}\n{self.log(dag_id, run_id, name)[-3000:]}" for name in self.failed_tasks(dag_id, run_id)]
        return "\n".join([str(states), *logs])

    def release(self, prefix: str, body: bytes | None = None) -> str:
        """Uploads a zip and returns the id of the run it starts."""
        version = upload.upload_zip(self.settings, prefix, body)
        return self.run_of(prefix, version.version_id)

    def ask(self, endpoint: str, dataset: str = "iris") -> predictions.Answers:
        return predictions.ask(self.settings, endpoint, load(dataset).held_out)

    def endpoint_config(self, endpoint: str) -> str:
        name: str = self.client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
        return name


@pytest.fixture(scope="session")
def slipway(tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]) -> Iterator[Instance]:
    """A running instance with a copy of include/ that tests may add models to."""
    folder = tmp_path_factory.mktemp("slipway")
    include = folder / "include"
    shutil.copytree(ROOT / "include", include)
    for model in (include / "models").glob("*.yaml"):
        if model.name != "iris-model.yaml":
            model.unlink()
    airflow_port, aws_port = free_ports(2)
    instance = Instance(Settings(folder / "home", airflow_port, aws_port, faults=True), include)
    try:
        instance.services("up")
        if _EXTRA.get(fab.SWITCH) == fab.AUTH_MANAGER:
            instance.run("tools.fab", "users")
        yield instance
    finally:
        instance.services("down")


@dataclass(frozen=True)
class FirstRelease:
    """The release that put something into production, which later ones must leave serving."""

    run_id: str
    version_id: str
    bobs_status: int
    screen: dict[str, Any]


@pytest.fixture(scope="session")
def first_release(slipway: Instance) -> FirstRelease:
    """iris-model in production: uploaded, noticed, refused to bob, approved by alice."""
    upload.upload_data(slipway.settings, "iris-model", "iris")
    version = upload.upload_zip(slipway.settings, "iris-model")
    run_id = slipway.run_of("iris-model", version.version_id)
    screen = slipway.wait_approval("iris-model", run_id)
    with pytest.raises(ApiError) as refusal:
        slipway.api("bob").answer("iris-model", run_id, "approve", "Approve")
    slipway.api("alice").answer("iris-model", run_id, "approve", "Approve")
    assert slipway.wait_end("iris-model", run_id) == "success", slipway.story("iris-model", run_id)
    return FirstRelease(run_id, version.version_id, refusal.value.status, screen)
