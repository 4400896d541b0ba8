"""A release that does nothing: the same tasks, each waiting as often and as long as the run's conf says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, BaseOperator, chain

TASKS = (
    *("source", "process_request", "train", "evaluate", "register", "deploy_dev", "test_dev", "approve"),
    *("deploy_prd", "test_prd", "watch_trial", "collect_garbage"),
)


class Nothing(BaseOperator):
    """Wait for triggers, then end."""

    def execute(self, context: Any, event: Any = None, left: list[float] | None = None) -> None:
        """Wait for the next of the times that the run's conf has for this task, or end."""
        left = context["dag_run"].conf.get(self.task_id, []) if left is None else left
        if left:
            trigger = TimeDeltaTrigger(timedelta(seconds=left[0]))
            self.defer(trigger=trigger, method_name="execute", kwargs={"left": left[1:]})


with DAG("empty_release", schedule=None):
    chain(*[Nothing(task_id=name) for name in TASKS])
