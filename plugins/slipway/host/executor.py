"""LocalExecutor for tasks that defer: it knows which tasks its worker processes have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.executors.local_executor import LocalExecutor
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.utils.state import TaskInstanceState

from slipway.host import before_fork

if TYPE_CHECKING:
    from airflow.executors.workloads import ExecutorWorkload
    from airflow.executors.workloads.types import WorkloadKey, WorkloadState
    from airflow.models.taskinstance import TaskInstance

_ENDED = (TaskInstanceState.SUCCESS, TaskInstanceState.FAILED)


class DeferringLocalExecutor(LocalExecutor):
    """LocalExecutor that never has a resumed task taken for killed.

    A task that defers and the same task resumed have one key. The executor reports the end of the process that
    deferred under that key, and the scheduler may read the report only after the task was resumed. It then asks the
    executor whether it has the task, and takes the task for killed if not
    (``SchedulerJobRunner.process_executor_events``). LocalExecutor forgets a task when a worker process gets it, so
    it always answers no: https://github.com/apache/airflow/pull/71914, https://github.com/apache/airflow/issues/72716.

    This executor counts the processes of each key. A set of keys would not be enough: the first process's end would
    remove the key of the second one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._processes: Counter[WorkloadKey] = Counter()

    def start(self) -> None:
        """Fork the worker processes, after what each process of a task would prepare was prepared."""
        before_fork.prepare()
        super().start()

    def has_task(self, task_instance: TaskInstance) -> bool:
        """Tell whether the task waits in this executor or a worker process has it."""
        return super().has_task(task_instance) or task_instance.key in self._processes

    def change_state(
        self, key: WorkloadKey, state: WorkloadState, info: Any = None, remove_running: bool = True
    ) -> None:
        """Take one end of a process into account, and report it to the scheduler."""
        if state in _ENDED and key in self._processes:
            self._processes[key] -= 1
            if not self._processes[key]:
                del self._processes[key]
        super().change_state(key, state, info, remove_running)

    def _check_workers(self) -> None:
        # A worker process that was killed reports nothing, and nobody knows which task it had. Its count would stay
        # and could hide a later kill. So all counts are forgotten: what runs now is judged as by LocalExecutor.
        if not all(worker.is_alive() for worker in self.workers.values()):
            self._processes.clear()
        super()._check_workers()

    def _process_workloads(self, workload_list: Sequence[ExecutorWorkload]) -> None:
        # Callbacks and connection tests neither defer nor share a key.
        self._processes.update(each.key for each in workload_list if isinstance(each.key, TaskInstanceKey))
        super()._process_workloads(workload_list)
