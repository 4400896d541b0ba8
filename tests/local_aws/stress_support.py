"""A model whose endpoints may be loaded, and the task that loads them, as a process that can be told to end.

`python -m tests.local_aws.stress_support RUN_ID FORM` runs the task as Airflow's task runner does: at SIGTERM it calls
on_kill().
"""

import json
import signal
import sys
from pathlib import Path

import yaml

from slipway.stress.operators import StressTestOperator
from tests.unit.request_samples import ROOT
from tests.unit.task_runs import FakeTaskInstance, context

SLO = {"max_error_share": 0.01, "p99_ms": 60_000, "min_accuracy": 0.9}


def write_model(folder: Path, prefix: str, data: str, **stress) -> None:
    """Put the iris model's file there, with another prefix, other rows and its own stress section."""
    content = yaml.safe_load((ROOT / "include/models/iris-model.yaml").read_text().replace("iris-model", prefix))
    content["test"]["data"] = data
    content["stress"] = stress
    (folder / "models").mkdir()
    (folder / "models/model.yaml").write_text(yaml.safe_dump(content))


class PushingTaskInstance(FakeTaskInstance):
    """Keeps what is pushed to XCom."""

    def __init__(self) -> None:
        super().__init__({})
        self.pushed = {}

    def xcom_push(self, key: str, value: object) -> None:
        self.pushed[key] = value


def stress_task(form: dict, run_id: str) -> tuple[StressTestOperator, dict, dict]:
    """The task, its context and what it will have pushed to XCom."""
    ti = PushingTaskInstance()
    made = context({}, run_id=run_id, params=form) | {"ti": ti}
    return StressTestOperator(task_id="stress"), made, ti.pushed


if __name__ == "__main__":
    operator, ctx, _ = stress_task(json.loads(sys.argv[2]), sys.argv[1])
    signal.signal(signal.SIGTERM, lambda number, frame: operator.on_kill())
    operator.execute(ctx)
