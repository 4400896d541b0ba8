"""Airflow's own approval before a task that stands for a deployment: what Slipway's approval is measured against."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param


def die_once_resumed(context: Any) -> None:
    """Kills the task's process the first time that it comes back with an answer, if the run's conf asks for it."""
    if not context["params"]["kill_resumed"]:
        return
    seen = Path(os.environ["AIRFLOW_HOME"]) / "stock_approval" / context["run_id"]
    seen.mkdir(parents=True, exist_ok=True)
    starts = len(list(seen.iterdir())) + 1
    (seen / str(starts)).touch()
    if starts == 2:
        os.kill(os.getpid(), signal.SIGKILL)


with DAG("stock_approval", schedule=None, params={"kill_resumed": Param(False, type="boolean")}):
    approve = ApprovalOperator(
        task_id="approve",
        subject="Shall this model be put into production?",
        assigned_users=[{"id": "alice", "name": "alice"}],
        retries=3,
        retry_delay=1,
        pre_execute=die_once_resumed,
    )
    approve >> EmptyOperator(task_id="deploy_prd")
