"""A run that is no release: followed to its end, and what its tasks have left."""

from __future__ import annotations

import time
from typing import Any

from slipway.command.airflow import Airflow, quoted, run_path
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.follow import PATIENCE_SECONDS, POLL_SECONDS
from slipway.command.output import Output

_QUIET = ("", "scheduled", "queued", "skipped", "upstream_failed")


def follow_run(airflow: Airflow, dag_id: str, run_id: str, output: Output) -> tuple[str, dict[str, str]]:
    """Wait for the run's end, and print a line for each change of a task.

    :returns: its state, and the states of its tasks
    :raises CommandError: when Airflow stays away
    """
    shown: dict[str, str] = {}
    gone_since: float | None = None
    while True:
        try:
            state = airflow.api("GET", run_path(dag_id, run_id))["state"]
            listed = airflow.api("GET", f"{run_path(dag_id, run_id)}/taskInstances")["task_instances"]
            gone_since = None
        except CommandError as error:
            gone_since = gone_since or time.monotonic()
            if error.code is not Exit.UNREACHABLE or time.monotonic() - gone_since > PATIENCE_SECONDS:
                raise
        else:
            tasks = {one["task_id"]: one["state"] or "" for one in listed}
            for task_id, now in tasks.items():
                if now not in _QUIET and shown.get(task_id) != now:
                    shown[task_id] = now
                    output.note(f"{task_id:16} {now}")
            if state in ("success", "failed"):
                return state, tasks
        time.sleep(POLL_SECONDS)


def xcom(airflow: Airflow, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
    """Return what a task has left under a key; None if it has left nothing."""
    path = f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task_id)}/xcomEntries/{quoted(key)}"
    try:
        return airflow.api("GET", path, stringify="false")["value"]
    except CommandError as error:
        if error.code is Exit.NOT_FOUND:
            return None
        raise
