"""What the scheduler makes of a report that comes after the task was resumed: its own code, with this executor."""

from queue import SimpleQueue
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from airflow._shared.module_loading import import_string
from airflow.executors import workloads
from airflow.executors.local_executor import LocalExecutor
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.utils.state import TaskInstanceState

from slipway.host.executor import DeferringLocalExecutor
from slipway.waiting.results import EXECUTOR

KEY = TaskInstanceKey("iris-model", "train", "run", 1)
JOB = 7


class Workload(SimpleNamespace):
    """A task as the scheduler hands it to the executor."""

    key = KEY
    ti = SimpleNamespace(priority_weight=1)


def started(kind: type[LocalExecutor]) -> LocalExecutor:
    """An executor whose worker processes are this test."""
    executor = kind(parallelism=2)
    executor.activity_queue, executor.result_queue, executor.workers = SimpleQueue(), SimpleQueue(), {}
    executor._unread_messages = MagicMock(value=0)
    executor.is_mp_using_fork = True
    executor._spawn_workers_with_gc_freeze = lambda count: None
    return executor


def hand_out(executor: LocalExecutor) -> None:
    """One loop of the scheduler that queues the task: a worker process gets it, and results are read."""
    executor.queued_tasks[KEY] = Workload()
    executor.heartbeat()


def end(executor: LocalExecutor, state: TaskInstanceState = TaskInstanceState.SUCCESS) -> None:
    """A worker process reports that the task's process has ended."""
    executor.result_queue.put((KEY, state, None))
    executor.heartbeat()


def failed_by_the_scheduler(executor: LocalExecutor, state: TaskInstanceState) -> bool:
    """Whether the scheduler, reading the reports while the task is in this state, takes it for killed."""
    task = MagicMock(key=KEY, try_number=1, state=state, queued_by_job_id=JOB, next_method="resume", priority_weight=1)
    task.configure_mock(id="an id", dag_id=KEY.dag_id, task_id=KEY.task_id)
    session = MagicMock()
    session.scalars.return_value = [task]
    bag = MagicMock()
    bag.get_dag_for_run.return_value.get_task.return_value = MagicMock(
        has_on_retry_callback=False, has_on_failure_callback=False, email=None
    )
    SchedulerJobRunner.process_executor_events(executor, JOB, bag, session)
    return bool(task.handle_failure.called)


@pytest.mark.parametrize("state", [TaskInstanceState.QUEUED, TaskInstanceState.RUNNING])
@pytest.mark.parametrize(("kind", "taken_for_killed"), [(LocalExecutor, True), (DeferringLocalExecutor, False)])
def test_a_task_that_was_resumed_before_the_report_is_not_taken_for_killed(kind, taken_for_killed, state):
    executor = started(kind)
    hand_out(executor)
    hand_out(executor)
    end(executor)
    assert failed_by_the_scheduler(executor, state) is taken_for_killed


@pytest.mark.parametrize("state", [TaskInstanceState.QUEUED, TaskInstanceState.RUNNING])
@pytest.mark.parametrize("ended", [TaskInstanceState.SUCCESS, TaskInstanceState.FAILED])
@pytest.mark.parametrize("deferrals", [0, 1, 2])
def test_a_task_that_was_killed_is_still_noticed(state, ended, deferrals):
    executor = started(DeferringLocalExecutor)
    for _ in range(deferrals + 1):
        hand_out(executor)
    for _ in range(deferrals):
        end(executor)
    assert not failed_by_the_scheduler(executor, state) or not deferrals
    end(executor, ended)
    assert failed_by_the_scheduler(executor, state)


def test_a_worker_process_that_was_killed_hides_no_later_kill():
    executor = started(DeferringLocalExecutor)
    executor.workers = {1: MagicMock(), 2: MagicMock()}
    hand_out(executor)
    executor.workers[1].is_alive.return_value = False
    executor.heartbeat()
    assert not executor.has_task(MagicMock(key=KEY, id="an id"))
    assert list(executor.workers) == [2]
    hand_out(executor)
    end(executor, TaskInstanceState.FAILED)
    assert failed_by_the_scheduler(executor, TaskInstanceState.QUEUED)


def test_a_report_too_many_changes_nothing():
    executor = started(DeferringLocalExecutor)
    hand_out(executor)
    end(executor)
    end(executor)
    hand_out(executor)
    assert executor.has_task(MagicMock(key=KEY, id="an id"))


def test_callbacks_are_left_to_airflow():
    executor = started(DeferringLocalExecutor)
    callback = MagicMock(spec=workloads.ExecuteCallback, key="a callback")
    executor.queued_callbacks["a callback"] = callback
    executor.heartbeat()
    assert not executor._processes


def test_the_triggers_know_this_executor_by_its_path():
    assert import_string(EXECUTOR) is DeferringLocalExecutor
