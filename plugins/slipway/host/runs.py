"""Runs and their tasks, asked through the channel of the task or trigger that runs, which needs no credential."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.utils.state import DagRunState, TaskInstanceState

log = logging.getLogger(__name__)

_GOING_ON = [DagRunState.QUEUED.value, DagRunState.RUNNING.value]


def goes_on(dag_id: str, run_id: str) -> bool:
    """Tell whether a run has not ended.

    :returns: False for a run that has ended, that was deleted, or that this Airflow has never had
    :raises airflow.sdk.exceptions.AirflowRuntimeError: when the API server does not answer
    """
    return _count(dag_id, run_id, _GOING_ON) > 0


def exists(dag_id: str, run_id: str) -> bool:
    """Tell whether Airflow has a run, ended or not.

    :raises airflow.sdk.exceptions.AirflowRuntimeError: when the API server does not answer
    """
    return _count(dag_id, run_id, None) > 0


def task_state(dag_id: str, run_id: str, task_id: str, map_index: int | None = None) -> str | None:
    """Read the state of a task in a run.

    :param map_index: which instance of a mapped task
    :returns: ``removed`` when there is no such task or run; None before the task is scheduled
    :raises airflow.sdk.exceptions.AirflowRuntimeError: when the API server does not answer
    """
    # Only there in a process that Airflow supervises.
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(
        dag_id=dag_id, map_index=map_index, task_ids=[task_id], run_ids=[run_id]
    )
    return states.get(run_id, {}).get(task_id, TaskInstanceState.REMOVED.value)


def start(dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> bool:
    """Create a run, unless it exists.

    :param dag_id: the DAG
    :param run_id: the run; Airflow keeps its id unique in the DAG
    :param conf: the run's conf
    :param note: what Airflow shows beside its id
    :returns: True when the run exists; False when there is no such DAG, or it has import errors
    :raises airflow.sdk.exceptions.AirflowRuntimeError: for any other answer of the API server
    """
    from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    try:
        # No logical date: it has to be unique in a DAG as well, and a clash would look like a run that exists.
        message = TriggerDagRun(dag_id=dag_id, run_id=run_id, logical_date=None, conf=dict(conf), note=note)
        answer = SUPERVISOR_COMMS.send(message)
    except AirflowRuntimeError as error:
        if _is_absent(error):
            return False
        raise
    existed = isinstance(answer, ErrorResponse) and answer.error == ErrorType.DAGRUN_ALREADY_EXISTS
    if isinstance(answer, ErrorResponse) and not existed:
        raise AirflowRuntimeError(answer)
    log.info("%s %s: %s", dag_id, run_id, "has its run already" if existed else "started")
    return True


def _count(dag_id: str, run_id: str, states: list[str] | None) -> int:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    # The count of a missing run is 0; asking for its state would be an error.
    return RuntimeTaskInstance.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=states)


def _is_absent(error: AirflowRuntimeError) -> bool:
    """Tell a DAG that is not there, or cannot be imported now, from every other refusal."""
    detail = error.error.detail or {}
    inner = detail.get("detail")
    reason = (inner.get("detail") or {}).get("reason") if isinstance(inner, dict) else None
    return detail.get("status_code") == 404 or reason == "import_errors"
