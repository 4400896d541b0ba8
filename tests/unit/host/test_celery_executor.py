"""What the scheduler makes of Celery's reports on a task that defers and is resumed: its own code, with CeleryExecutor.

Each sending of a task has an id of its own in Celery, and the executor asks for the last one of a task only. So the end
of a process that deferred is read before the task is sent again, or never.
"""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from airflow._shared.module_loading import import_string
from airflow.executors.base_executor import BaseExecutor
from airflow.executors.workloads import ExecuteTask
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.providers.celery.executors.celery_executor import CeleryExecutor
from airflow.providers.celery.executors.celery_executor_utils import ExceptionWithTraceback
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.utils.state import TaskInstanceState
from celery import states

from slipway.waiting.results import CELERY_EXECUTORS

KEY = TaskInstanceKey("iris-model", "train", "run", 1)
JOB = 7
AWAY = ExceptionWithTraceback(AirflowTaskTimeout("Redis is away"), "")


class Scheduler:
    """A scheduler's executor; Celery's side is what this test says."""

    def __init__(self, monkeypatch, parallelism: int = 2) -> None:
        self.executor = CeleryExecutor(parallelism=parallelism)
        self.ends: dict[str, str] = {}
        self.sent: list[str] = []
        self.away = False
        monkeypatch.setattr(self.executor, "_send_workloads_to_celery", self._send)
        monkeypatch.setattr(self.executor, "bulk_state_fetcher", SimpleNamespace(get_many=self._states))

    def queue(self) -> None:
        """The scheduler queues the task; the next heartbeat sends it."""
        task = MagicMock(spec=ExecuteTask, ti=SimpleNamespace(key=KEY, priority_weight=1, queue="default"))
        self.executor.queued_tasks[KEY] = task

    def send(self) -> str:
        """One loop of the scheduler in which the task is sent. Returns Celery's id."""
        self.queue()
        self.executor.heartbeat()
        return self.sent[-1]

    def takes_for_killed(self, state: TaskInstanceState, queued_by: int = JOB) -> bool:
        """Whether the scheduler, reading the reports while the task is in this state, takes it for killed."""
        task = MagicMock(key=KEY, try_number=1, state=state, queued_by_job_id=queued_by, next_method="resume")
        task.configure_mock(id="an id", dag_id=KEY.dag_id, task_id=KEY.task_id, priority_weight=1)
        session, bag = MagicMock(), MagicMock()
        session.scalars.return_value = [task] if KEY in self.executor.event_buffer else []
        bag.get_dag_for_run.return_value.get_task.return_value = MagicMock(
            has_on_retry_callback=False, has_on_failure_callback=False, email=None
        )
        SchedulerJobRunner.process_executor_events(self.executor, JOB, bag, session)
        return bool(task.handle_failure.called)

    def _send(self, tasks):
        if self.away:
            return [(key, "", AWAY) for key, *_ in tasks]
        self.sent += [f"celery {len(self.sent) + 1}" for _ in tasks]
        return [(key, "", SimpleNamespace(task_id=self.sent[-1])) for key, *_ in tasks]

    def _states(self, results):
        return {one.task_id: (self.ends.get(one.task_id, states.STARTED), None) for one in results}


RESUMED = (TaskInstanceState.SCHEDULED, TaskInstanceState.QUEUED, TaskInstanceState.RUNNING)


@pytest.fixture
def scheduler(monkeypatch):
    return Scheduler(monkeypatch)


@pytest.mark.parametrize("state", RESUMED[1:])
def test_the_first_processs_end_is_not_asked_for_once_the_task_was_sent_again(scheduler, state):
    first = scheduler.send()
    scheduler.ends[first] = states.SUCCESS
    scheduler.send()
    assert not scheduler.takes_for_killed(state)


@pytest.mark.parametrize("state", [TaskInstanceState.DEFERRED, TaskInstanceState.SCHEDULED])
def test_an_end_that_is_read_before_is_no_kill(scheduler, state):
    scheduler.ends[scheduler.send()] = states.SUCCESS
    scheduler.executor.heartbeat()
    assert not scheduler.takes_for_killed(state)


def test_a_task_that_waits_for_a_slot_is_known(monkeypatch):
    scheduler = Scheduler(monkeypatch, parallelism=1)
    scheduler.ends[scheduler.send()] = states.SUCCESS
    scheduler.queue()
    scheduler.executor.heartbeat()
    assert KEY in scheduler.executor.queued_tasks
    assert not scheduler.takes_for_killed(TaskInstanceState.QUEUED)


def test_a_task_that_cannot_be_sent_now_is_known(scheduler):
    scheduler.ends[scheduler.send()] = states.SUCCESS
    scheduler.away = True
    scheduler.queue()
    scheduler.executor.heartbeat()
    assert not scheduler.takes_for_killed(TaskInstanceState.QUEUED)


@pytest.mark.parametrize("state", RESUMED)
def test_another_scheduler_that_queued_the_resumed_task_keeps_it(scheduler, state):
    scheduler.ends[scheduler.send()] = states.SUCCESS
    scheduler.executor.heartbeat()
    assert not scheduler.takes_for_killed(state, queued_by=JOB + 1)


@pytest.mark.parametrize("end", [states.SUCCESS, states.FAILURE])
@pytest.mark.parametrize("deferrals", [0, 1, 2])
def test_a_task_that_was_killed_is_still_noticed(scheduler, end, deferrals):
    for _ in range(deferrals):
        scheduler.ends[scheduler.send()] = states.SUCCESS
    scheduler.ends[scheduler.send()] = end
    scheduler.executor.heartbeat()
    assert scheduler.takes_for_killed(TaskInstanceState.RUNNING)


def test_the_triggers_know_this_executor_by_its_names():
    name, path = CELERY_EXECUTORS
    assert import_string(path) is CeleryExecutor
    assert issubclass(CeleryExecutor, BaseExecutor)
    assert path.endswith(f".{name}")
