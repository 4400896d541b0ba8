"""A real Airflow and a real local AWS, as `make up` starts them, and what tests ask of them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import boto3

from demo import predictions, upload
from demo.datasets import load
from tools import bootstrap_stack, environment, ledger
from tools.airflow_api import AirflowApi, ApiError
from tools.aws import admin_client
from tools.settings import AIRFLOW_ROLE, REGION, ROOT, Settings

# Airflow's patience with what was killed: shorter than after 'make up', and longer than the API server's restart takes.
# Files are parsed half as often: `wait_dag` asks for it where a test has written one.
SHORT_PATIENCE = {
    f"{environment.OPTION_PREFIX}SCHEDULER__{option}": seconds
    for option, seconds in (
        ("TASK_INSTANCE_HEARTBEAT_TIMEOUT", "40"),
        ("SCHEDULER_HEALTH_CHECK_THRESHOLD", "15"),
        ("ORPHANED_TASKS_CHECK_INTERVAL", "10"),
    )
} | {f"{environment.OPTION_PREFIX}DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "40"}
# Beside dags/: what Slipway is measured against, and DAGs of other teams.
_LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
OTHER_DAGS = {
    f"{environment.OPTION_PREFIX}DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
        [
            {"name": "dags-folder", "classpath": _LOCAL_BUNDLE, "kwargs": {}},
            {"name": "stock", "classpath": _LOCAL_BUNDLE, "kwargs": {"path": str(ROOT / "tests/faults/stock/dags")}},
        ]
    )
}
# The files of dags/ whose DAGs watch for something that the model files say.
_WATCHING = ("image_build.py", "intake.py", "reaper.py")
# A wait for a task's state looks this rarely whether the run has ended without it.
_LOOKS_AT_THE_RUN = 4
# Guards against hanging only: no test says how fast something must be.
PATIENCE_SECONDS = 300.0


@dataclass
class Instance:
    """One running Slipway and what a test asks of it."""

    settings: Settings
    include: Path
    # SLIPWAY_ variables beside those of the settings.
    extra: dict[str, str] = field(default_factory=dict)
    # Whose Airflow runs, and from which checkout.
    python: Path = Path(sys.executable)
    checkout: Path = ROOT
    _apis: dict[str, AirflowApi] = field(default_factory=dict)
    # Tests ask for it each second while they wait, and it grows to thousands of lines.
    _ledger: ledger.Ledger = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._ledger = ledger.Ledger(self.settings.ledger)

    @classmethod
    def in_folder(
        cls, folder: Path, ports: list[int], extra: dict[str, str], *, faults: bool = False, celery_workers: int = 0
    ) -> Self:
        """An instance that does not run yet, with a copy of include/ that has the iris model only.

        :param ports: two free ones.
        :param extra: SLIPWAY_ variables of another kind of instance.
        :param faults: whether its AWS can be made to fail.
        :param celery_workers: that run the tasks; 0 for the scheduler's own workers.
        """
        include = folder / "include"
        shutil.copytree(ROOT / "include", include)
        for model in (include / "models").glob("*.yaml"):
            if model.name != "iris-model.yaml":
                model.unlink()
        airflow_port, aws_port = ports
        settings = Settings(folder / "home", airflow_port, aws_port, faults=faults, celery_workers=celery_workers)
        return cls(settings, include, extra)

    def services(self, command: str) -> None:
        """Runs what a make target runs."""
        self.run("tools.services", command)

    def run(self, module: str, command: str) -> None:
        """Runs one of the tools for this instance."""
        variables = self.settings.variables() | self.extra | {"SLIPWAY_INCLUDE_FOLDER": str(self.include)}
        done = subprocess.run(
            [str(self.python), "-m", module, command],
            cwd=self.checkout,
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
        """A client of the administrator, who may look at everything and break everything."""
        return admin_client(self.settings, service)

    def airflow_client(self, service: str) -> Any:
        """A client with a session of Airflow's role, as a task of any DAG can have it."""
        key = environment.aws_credentials(self.settings).airflow
        user = boto3.Session(key.access_key_id, key.secret_access_key, region_name=REGION)
        sts = user.client("sts", endpoint_url=self.settings.aws_url)
        found = sts.assume_role(RoleArn=AIRFLOW_ROLE, RoleSessionName="another-dag")["Credentials"]
        role = boto3.Session(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], region_name=REGION)
        client: Any = role.client
        return client(service, endpoint_url=self.settings.aws_url)

    def ledger(self, **wanted: str) -> list[dict[str, Any]]:
        """The lines of the call ledger whose fields have these values."""
        return self._ledger.calls(**wanted)

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
        raise AssertionError(f"waited {PATIENCE_SECONDS:.0f} s for {what}, which did not come")

    def make_model_roles(self) -> None:
        """Deploys the stacks of new model files, as an administrator does."""
        problems = bootstrap_stack.deploy(self.client, self.include)
        assert problems == [], problems

    def wait_dag(self, prefix: str) -> None:
        """Makes a new model's roles, has Airflow parse the model files now, and waits for the model's DAG.

        Each file that reads model files is parsed, so that intake and reaper know the model as well. Those that watch
        are parsed twice: the first time, Airflow drops each watcher whose models have changed.
        """
        self.make_model_roles()
        self._parse(lambda file: True)
        self._parse(lambda file: file in _WATCHING)
        self.wait(f"the DAG {prefix}", lambda: prefix in self.api().dag_ids())

    def _parse(self, chosen: Callable[[str], bool]) -> None:
        """Has Airflow parse the DAG files that are chosen by name, and waits until it has."""

        def parsed() -> dict[str, tuple[str, str]]:
            dags = self.api().call("GET", "/dags", limit=100)["dags"]
            return {
                dag["file_token"]: (dag["relative_fileloc"], dag["last_parsed_time"])
                for dag in dags
                if chosen(dag["relative_fileloc"])
            }

        before = parsed()
        for token in sorted(before):
            self.api().call("PUT", f"/parseDagFile/{token}")
        self.wait("the DAG files", lambda: not before.items() & parsed().items())

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

        looks = itertools.count(1)

        def state() -> str:
            found: str = self.api().task(dag_id, run_id, task_id)["state"]
            return found

        def reached() -> bool:
            if state() in states:
                return True
            if next(looks) % _LOOKS_AT_THE_RUN or not self._ended(dag_id, run_id):
                return False
            assert state() in states, self.story(dag_id, run_id)
            return True

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

    def link(self, dag_id: str, run_id: str, task_id: str, name: str) -> str:
        """Where a button of a task leads to; Airflow makes it after the task has ended."""
        path = f"/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances/{task_id}/links"
        address: str = self.wait(f"the button {name}", lambda: self.api().call("GET", path)["extra_links"][name])
        return address

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
