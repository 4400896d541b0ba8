"""The executor of part d: it writes down what the process of each task took.

Airflow's processes import it, so it is a module of its own.
"""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any

from airflow.executors.base_executor import BaseExecutor

from bench.runs import PROCESSES
from slipway.host.executor import DeferringLocalExecutor

_run_workload = BaseExecutor.run_workload


class MeasuredExecutor(DeferringLocalExecutor):
    """The executor of `make up`, whose workers measure the processes that they start."""

    def start(self) -> None:
        """Fork the workers; they call `BaseExecutor.run_workload` for each process of a task."""
        BaseExecutor.run_workload = staticmethod(_measured)  # type: ignore[method-assign]
        super().start()


def _measured(workload: Any, **arguments: Any) -> int:
    before = _cpu_seconds()
    try:
        return _run_workload(workload, **arguments)
    finally:
        process, supervisor = (after - start for after, start in zip(_cpu_seconds(), before, strict=True))
        line = {"run": workload.ti.run_id, "task": workload.ti.task_id, "process": process, "supervisor": supervisor}
        with (Path(os.environ["AIRFLOW_HOME"]) / PROCESSES).open("a") as file:
            file.write(json.dumps(line) + "\n")


def _cpu_seconds() -> tuple[float, float]:
    """Return the CPU time of this worker's ended children, and its own."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    children, own = (one.ru_utime + one.ru_stime for one in used)
    return children, own
