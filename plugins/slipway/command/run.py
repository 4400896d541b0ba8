"""A run that is no release: followed to its end, and what its tasks have left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.command.airflow import Airflow, quoted, run_path
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.follow import poll
from slipway.command.output import Output

_QUIET = ("", "scheduled", "queued", "skipped", "upstream_failed")


def follow_run(airflow: Airflow, dag_id: str, run_id: str, output: Output) -> tuple[str, dict[str, str]]:
    """Wait for the run's end, and print a line for each change of a task.

    :returns: its state, and the states of its tasks
    :raises CommandError: when Airflow stays away
    """
    shown: dict[str, str] = {}

    def look() -> tuple[str, dict[str, str]] | None:
        state = airflow.api("GET", run_path(dag_id, run_id))["state"]
        tasks = task_states(airflow, dag_id, run_id)
        for task_id, now in tasks.items():
            if now not in _QUIET and shown.get(task_id) != now:
                shown[task_id] = now
                output.note(f"{task_id:16} {now}")
        return (state, tasks) if state in ("success", "failed") else None

    return poll(look, lambda: dict(shown))


def task_states(airflow: Airflow, dag_id: str, run_id: str) -> dict[str, str]:
    """Return the states of a run's tasks."""
    listed = airflow.api("GET", f"{run_path(dag_id, run_id)}/taskInstances")["task_instances"]
    return {one["task_id"]: one["state"] or "" for one in listed}


def xcom(airflow: Airflow, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
    """Return what a task has left under a key; None if it has left nothing."""
    path = f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task_id)}/xcomEntries/{quoted(key)}"
    try:
        return airflow.api("GET", path, stringify="false")["value"]
    except CommandError as error:
        if error.code is Exit.NOT_FOUND:
            return None
        raise


def newest_run(airflow: Airflow, dag_id: str) -> Mapping[str, Any] | None:
    """Return the newest run of a DAG; None if there is none that the person may see."""
    try:
        path = f"dags/{quoted(dag_id)}/dagRuns"
        found = airflow.api("GET", path, limit=1, order_by="-run_after")["dag_runs"]
    except CommandError:
        return None
    return next(iter(found), None)


def failures(airflow: Airflow, dag_id: str, run_id: str, tasks: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return why each failed task of a run failed, as it has kept it.

    :param tasks: the states of its tasks
    """
    unknown = {"what": "The task has kept no reason", "where": None, "why": None, "fix": "read its log in Airflow"}
    return [
        {"task_id": task, "skipped": False, **(xcom(airflow, dag_id, run_id, task, "slipway_failure") or unknown)}
        for task, state in tasks.items()
        if state == "failed"
    ]
