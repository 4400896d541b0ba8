"""A release that does nothing: its tasks in their order, each waiting as often and as long as the run's conf says."""

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
    """Waits for triggers, and ends."""

    def execute(self, context: Any, event: Any = None, left: list[float] | None = None) -> None:
        """Wait for what is left of the seconds that the run's conf has for this task, or end."""
        left = context["dag_run"].conf.get(self.task_id, []) if left is None else left
        if left:
            trigger = TimeDeltaTrigger(timedelta(seconds=left[0]))
            self.defer(trigger=trigger, method_name="execute", kwargs={"left": left[1:]})


with DAG("empty_release", schedule=None):
    chain(*[Nothing(task_id=name) for name in TASKS])
