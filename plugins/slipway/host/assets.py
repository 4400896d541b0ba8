"""The events of assets, asked through the channel of the task that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import AssetAlias


def newest_event(alias: AssetAlias) -> Any:
    """Return the newest event under an alias, which need not be an inlet of the task.

    Airflow resolves the aliases among a task's inlets when it makes the task's context, also for a DAG's callback. The
    DAG processor does not know that request, so the callback would wait until it is killed.
    https://github.com/apache/airflow/blob/3.3.1/airflow-core/src/airflow/dag_processing/processor.py

    :returns: None if there is none
    :raises airflow.sdk.exceptions.AirflowRuntimeError: when the API server does not answer
    """
    from airflow.sdk.execution_time.context import InletEventsAccessor

    return next(iter(InletEventsAccessor(alias_name=alias.name).ascending(False).limit(1)), None)
