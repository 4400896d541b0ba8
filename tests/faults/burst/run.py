"""Release many models at once, approve each, and count the resumed tasks that Airflow takes for killed.

Run by `make burst`. It starts an instance of its own on free ports. SLIPWAY_DATABASE_URL chooses the database, and
SLIPWAY_AIRFLOW__CORE__EXECUTOR=LocalExecutor the executor that comes with Airflow.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from demo import upload
from tests.faults.chaos.models import FIRST, Model, build_zip
from tests.faults.chaos.run import free_ports
from tests.instance import Instance
from tools.airflow_api import ApiError
from tools.environment import DATABASE_VARIABLE

# The scheduler's lines about a report of the executor, and about a task that it takes for killed.
LATE = re.compile(r"TaskInstance Finished: .* state=(queued|running|scheduled), .* executor_state=success")
TAKEN_FOR_KILLED = "finished with state"
_LIMIT_SECONDS = 1500.0
CONSOLE = Console(highlight=False, soft_wrap=True)
_WAITING = ("deferred", "awaiting_input")
_ENDED = ("success", "failed")


@dataclass
class Burst:
    """Ten models, say, whose zips are uploaded at one moment.

    :param count: how many models
    :param each: how many zips of each; with more than one, they enter a stage one after the other
    :param limit_seconds: how long all may take
    :param watch: called at each look at the releases
    """

    instance: Instance
    count: int
    each: int = 1
    limit_seconds: float = _LIMIT_SECONDS
    watch: Callable[[], None] = lambda: None
    writes: list[float] = field(default_factory=list)
    # Of the releases, by model and run.
    states: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        mode = "QUEUED" if self.each > 1 else "SUPERSEDED"
        self.models = [Model(f"burst-{number}", mode=mode) for number in range(self.count)]
        self._answered: set[str] = set()

    def add_models(self) -> None:
        """Write a model file for each; before Airflow starts."""
        folder = self.instance.include / "models"
        template = (folder / f"{FIRST}.yaml").read_text()
        for model in self.models:
            text = template.replace(FIRST, model.prefix)
            text = text.replace("description:", f"execution_mode: {model.mode}\ndescription:", 1)
            (folder / f"{model.prefix}.yaml").write_text(text)

    def run(self) -> float:
        """Upload, approve, and wait until every release has ended.

        :returns: how many seconds that took
        """
        instance = self.instance
        for model in self.models:
            upload.upload_data(instance.settings, model.prefix, "iris")
        wanted = {model.prefix for model in self.models}
        instance.wait("the models' DAGs", lambda: wanted <= instance.api().dag_ids())
        # What lies in a bucket at the first look is history.
        instance.wait("the first look", lambda: any(run["state"] == "success" for run in instance.api().runs("intake")))
        began = time.monotonic()
        for number in range(self.count * self.each):
            model = self.models[number % self.count]
            upload.upload_zip(instance.settings, model.prefix, build_zip(model, instance.settings.bucket, number))
        while not self.ended() and time.monotonic() - began < self.limit_seconds:
            for model in self.models:
                self._turn(model.prefix)
            self.watch()
            time.sleep(1)
        return time.monotonic() - began

    def ended(self) -> bool:
        """Return whether every release has ended."""
        ended = [state for state in self.states.values() if state in _ENDED]
        return len(ended) == self.count * self.each

    def attempts(self) -> dict[str, int]:
        """Return every task that needed more than one attempt, and how many it needed."""
        found: dict[str, int] = {}
        for model in self.models:
            for run in self.instance.api().runs(model.prefix):
                for name, task in self.instance.api().tasks(model.prefix, run["dag_run_id"]).items():
                    if task["try_number"] > 1:
                        found[f"{model.prefix}.{run['dag_run_id']}.{name}"] = task["try_number"]
        return found

    def late_reports(self) -> int:
        """Return how many reports of a process's end the scheduler read after the task was resumed."""
        return sum(bool(LATE.search(line)) for line in self._scheduler_log())

    def taken_for_killed(self) -> int:
        """Return how many resumed tasks the scheduler took for killed."""
        return sum(TAKEN_FOR_KILLED in line for line in self._scheduler_log())

    def deferrals(self) -> int:
        """Return how many times a task deferred, to be resumed later."""
        answer = self.instance.api().call("GET", "/eventLogs", event="deferred", limit=1)
        count: int = answer["total_entries"]
        return count

    def _scheduler_log(self) -> list[str]:
        logs = sorted(self.instance.settings.logs.glob("scheduler*.log"))
        return [line for log in logs for line in log.read_text(errors="replace").splitlines()]

    def _turn(self, prefix: str) -> None:
        api = self.instance.api()
        for run in api.runs(prefix):
            run_id = run["dag_run_id"]
            self.states[prefix, run_id] = run["state"]
            if run["state"] in _ENDED:
                continue
            # A write that changes little, as somebody at the UI makes.
            self._write("PATCH", f"/dags/{prefix}/dagRuns/{run_id}", {"note": f"seen {len(self.writes)}"})
            task = api.tasks(prefix, run_id).get("approve", {})
            if task.get("state") in _WAITING and run_id not in self._answered:
                self._answer(prefix, run_id)

    def _answer(self, prefix: str, run_id: str) -> None:
        screen = self.instance.api().approval(prefix, run_id, "approve")
        if screen is None or screen.get("response_received"):
            return
        path = f"/dags/{prefix}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
        body = {"chosen_options": ["Approve"], "params_input": {"comment": "burst"}}
        if self._write("PATCH", path, body):
            self._answered.add(run_id)

    def _write(self, method: str, path: str, body: dict[str, Any]) -> bool:
        began = time.monotonic()
        try:
            self.instance.api().call(method, path, body)
        except (OSError, ApiError) as error:
            CONSOLE.print(f"{method} {path}: {error}", markup=False)
            return False
        finally:
            self.writes.append(time.monotonic() - began)
        return True


def report(burst: Burst, seconds: float) -> str:
    """Return the figures of one burst, a line for each."""
    attempts, killed, writes = burst.attempts(), burst.taken_for_killed(), sorted(burst.writes)
    ended = list(burst.states.values())
    return "\n".join(
        [
            f"releases: {burst.count * burst.each}, of which {ended.count('success')} succeeded, {seconds:.0f} s",
            f"deferrals: {burst.deferrals()}, reported late: {burst.late_reports()}, taken for killed: {killed}",
            f"tasks with more than one attempt: {len(attempts)}, at most {max(attempts.values(), default=1)} attempts",
            f"writes of the API: {len(writes)}, median {writes[len(writes) // 2]:.2f} s, longest {writes[-1]:.1f} s",
        ]
    )


def main() -> int:
    """Entry point of `make burst`."""
    parser = argparse.ArgumentParser(prog="tests.faults.burst", description=__doc__)
    parser.add_argument("--releases", type=int, default=10, help="how many models at once (default: 10)")
    parser.add_argument("--keep", action="store_true", help="keep the state folder with the logs")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="slipway-burst-"))
    extra = {DATABASE_VARIABLE: os.environ[DATABASE_VARIABLE]} if DATABASE_VARIABLE in os.environ else {}
    instance = Instance.in_folder(folder, free_ports(2), extra)
    burst = Burst(instance, arguments.releases)
    burst.add_models()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    CONSOLE.print(f"state and logs in {folder}")
    try:
        instance.services("up")
        seconds = burst.run()
        CONSOLE.print(report(burst, seconds), markup=False)
        wrong = burst.taken_for_killed() or any(state != "success" for state in burst.states.values())
    finally:
        instance.services("down")
    if not (arguments.keep or wrong):
        shutil.rmtree(folder)
    return 1 if wrong else 0
