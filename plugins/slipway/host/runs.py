"""What Airflow knows about a run, asked through the task's or the trigger's own channel, which needs no credential."""

from __future__ import annotations

from airflow.utils.state import DagRunState

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


def _count(dag_id: str, run_id: str, states: list[str] | None) -> int:
    # Only there in a process that Airflow supervises.
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    # A count is 0 for a run that is not there, where asking for its state would be an error.
    return RuntimeTaskInstance.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=states)
