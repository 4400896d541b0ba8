"""The base of waits for work that AWS does for one task: its log is copied, and it ends with its task."""

from __future__ import annotations

from typing import Any

from airflow.utils.state import TaskInstanceState
from asgiref.sync import sync_to_async

from slipway.aws.calls import call_error
from slipway.aws.logs import LogsHook, LogTail, is_no_log_yet
from slipway.host import runs
from slipway.waiting.waiter import PatientWaiterTrigger

# The most lines of a log for each poll. More than a pipe can hold would block the event loop, and so every
# trigger, until the triggerer's other process reads them.
MAX_LINES = 100


class FollowedWorkTrigger(PatientWaiterTrigger):
    """Wait for a job or a build, copy its log, and stop it when a person ends the task.

    A subclass sets the two words and has `_stop`.

    :param work_id: what is waited for, as the log names it
    """

    # What it is, in full and in short.
    work: str
    short_work: str

    def __init__(self, *, work_id: str, **waiter: Any) -> None:
        super().__init__(**waiter)
        self._work_id = work_id

    async def copy_log(self, tail: LogTail, *, stream_count: int) -> None:
        """Copy the new lines of the log; an unreadable log does not end the wait.

        :param tail: the place in the log
        :param stream_count: how many streams it will have
        """
        try:
            client = await self.client(LogsHook, lambda: LogsHook(**self._hook_parameters))
            lines = await tail.read(client, stream_count=stream_count)
            if len(lines) > MAX_LINES:
                self.log.info("%s lines are left out here; CloudWatch Logs has them", len(lines) - MAX_LINES)
            for line in lines[-MAX_LINES:]:
                self.log.info("%s", line)
        except Exception as error:
            known = call_error(error)
            if known is None:
                raise
            if not is_no_log_yet(known):
                self.log.warning("The %s's log cannot be read now: %s", self.short_work, error)

    async def on_kill(self) -> None:
        """Stop the work because a person failed, cleared or deleted the task.

        Airflow also calls this when another triggerer has taken over this trigger after a lost heartbeat. The task is
        then still deferred, and its work goes on.
        """
        state = await self._task_state()
        if state == TaskInstanceState.DEFERRED:
            self.log.warning("Another triggerer waits for %s now: the %s keeps running", self._work_id, self.short_work)
            return
        self.log.info("A person ended this task, which is now %s: stopping the %s %s", state, self.work, self._work_id)
        await sync_to_async(self._stop)()

    def _stop(self) -> None:
        """Stop the work. The triggerer has one thread for this, for all triggers, so it must not wait long."""
        raise NotImplementedError

    async def _task_state(self) -> str | None:
        """Return the task's state by the API server; ``removed`` if the task or its run is gone."""
        task = self.task_instance
        if task is None:
            raise RuntimeError("the triggerer gave this trigger no task instance")
        return await sync_to_async(runs.task_state)(task.dag_id, task.run_id, task.task_id, task.map_index)
