"""The wait for a training job: until it ends, until its deadline, or until a person ends the task."""

from __future__ import annotations

from typing import Any, cast

from airflow.utils.state import TaskInstanceState
from asgiref.sync import sync_to_async

from slipway.aws.calls import call_error
from slipway.aws.logs import LogsHook, LogTail, is_no_log_yet
from slipway.aws.patience import without_patience
from slipway.aws.sagemaker import SageMakerHook
from slipway.formats.stored import known
from slipway.host import runs
from slipway.training.owner import JobOwner, stop_and_mark
from slipway.waiting.waiter import PatientWaiterTrigger

# The most lines of a job's log for each poll. More than a pipe can hold would block the event loop, and so every
# trigger, until the triggerer's other process reads them.
MAX_LINES = 100


class TrainingJobTrigger(PatientWaiterTrigger):
    """Wait until a training job has ended, and copy its log into the task's log.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html

    :param job_name: the training job
    :param deadline: when to give up, in seconds since the epoch
    :param poll_seconds: time between two polls
    :param owner: the task that waits, as JobOwner.to_json gives it; a job with another owner is not stopped
    """

    aws_hook_class = SageMakerHook

    def __init__(
        self,
        *,
        job_name: str,
        deadline: float,
        poll_seconds: float,
        owner: dict[str, str] | None = None,
        **connection: Any,
    ) -> None:
        super().__init__(
            serialized_fields={"job_name": job_name, "owner": owner},
            waiter_name="TrainingJobCompleted",
            waiter_args={"TrainingJobName": job_name},
            status_query="TrainingJobStatus",
            reason_query="FailureReason || SecondaryStatus",
            deadline=deadline,
            poll_seconds=poll_seconds,
            **connection,
        )
        self.job_name = job_name
        self.owner = known(JobOwner, owner) if owner else None
        # A restarted triggerer makes a new trigger, which reads the log from the start again.
        self._tail = LogTail(job_name)

    async def observe(self, response: dict[str, Any]) -> None:
        """Copy the new lines of the job's log; an unreadable log does not end the wait.

        :param response: the response of DescribeTrainingJob
        """
        try:
            client = await self.client(LogsHook, lambda: LogsHook(**self._hook_parameters))
            instances = response.get("ResourceConfig", {}).get("InstanceCount", 1)
            lines = await self._tail.read(client, stream_count=instances)
            if len(lines) > MAX_LINES:
                self.log.info("%s lines are left out here; CloudWatch Logs has them", len(lines) - MAX_LINES)
            for line in lines[-MAX_LINES:]:
                self.log.info("%s", line)
        except Exception as error:
            known = call_error(error)
            if known is None:
                raise
            if not is_no_log_yet(known):
                self.log.warning("The job's log cannot be read now: %s", error)

    async def on_kill(self) -> None:
        """Stop the job because a person failed, cleared or deleted the task.

        Airflow also calls this when another triggerer has taken over this trigger after a lost heartbeat. The task is
        then still deferred, and its job keeps running.
        """
        state = await self._task_state()
        if state == TaskInstanceState.DEFERRED:
            self.log.warning("Another triggerer waits for %s now: the job keeps running", self.job_name)
            return
        self.log.info("A person ended this task, which is now %s: stopping the training job %s", state, self.job_name)
        await sync_to_async(self._stop)()

    def _stop(self) -> None:
        # The triggerer has one thread for this, for all triggers. The reaper stops what this cannot.
        with without_patience():
            stop_and_mark(cast("SageMakerHook", self.hook()), self.job_name, self.owner)

    async def _task_state(self) -> str | None:
        """Return the task's state by the API server; ``removed`` if the task or its run is gone."""
        task = self.task_instance
        if task is None:
            raise RuntimeError("the triggerer gave this trigger no task instance")
        return await sync_to_async(runs.task_state)(task.dag_id, task.run_id, task.task_id, task.map_index)
