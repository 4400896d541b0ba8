"""Waiting for a training job: until it ends, until its deadline, or until a person takes the task away."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, cast

from airflow.utils.state import TaskInstanceState
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError

from slipway.aws.logs import LogsHook, LogTail, is_no_log_yet
from slipway.aws.patience import without_patience
from slipway.aws.sagemaker import SageMakerHook
from slipway.host import runs
from slipway.training.owner import JobOwner, stop_for_person
from slipway.waiting.waiter import PatientWaiterTrigger

# Of a job's log, for each poll. More than a pipe takes would hold up the event loop, and every trigger with it, for as
# long as the triggerer's other process has no time to read.
MAX_LINES = 100


class TrainingJobTrigger(PatientWaiterTrigger):
    """Waits until a training job has ended and copies its log into the task's.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html

    :param job_name: The training job's name.
    :param deadline: When to give up, in seconds since the epoch.
    :param poll_seconds: Time between two polls.
    :param owner: The task that waits, as JobOwner.to_json gives it; a job with another owner is not stopped.
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
        self.owner = JobOwner(**owner) if owner else None
        # A restarted triggerer builds a new trigger, which begins at the head of the log again.
        self._tail = LogTail(job_name)
        self._logs_clients = AsyncExitStack()
        self._logs_client: Any = None

    async def observe(self, client: Any, response: dict[str, Any]) -> None:
        """Copy the new lines of the job's log; a log that cannot be read is no reason to stop waiting.

        :param client: SageMaker's client, unused here.
        :param response: What DescribeTrainingJob answered.
        """
        try:
            if self._logs_client is None:
                logs = LogsHook(**self._hook_parameters)
                self._logs_client = await self._logs_clients.enter_async_context(await logs.get_async_conn())
            instances = response.get("ResourceConfig", {}).get("InstanceCount", 1)
            lines = await self._tail.read(self._logs_client, stream_count=instances)
            if len(lines) > MAX_LINES:
                self.log.info("%s lines are left out here; CloudWatch Logs has them", len(lines) - MAX_LINES)
            for line in lines[-MAX_LINES:]:
                self.log.info("%s", line)
        except (ClientError, BotoCoreError) as error:
            if not is_no_log_yet(error):
                self.log.warning("The job's log cannot be read now: %s", error)

    async def cleanup(self) -> None:
        """Close the client of CloudWatch Logs; the job runs on."""
        await self._logs_clients.aclose()
        self._logs_client = None

    async def on_kill(self) -> None:
        """Stop the job because a person failed, cleared or deleted the task.

        Airflow calls this too when another triggerer has taken this trigger over after a lost heartbeat; the task then
        still is deferred, and its job is left alone.
        """
        state = await self._task_state()
        if state == TaskInstanceState.DEFERRED:
            self.log.warning("Another triggerer waits for %s now: the job runs on", self.job_name)
            return
        self.log.info("The task is %s by a person's hand: stopping the training job %s", state, self.job_name)
        await sync_to_async(self._stop)()

    def _stop(self) -> None:
        # The triggerer has one thread for this of all triggers; what is left undone here is the reaper's.
        with without_patience():
            stop_for_person(cast("SageMakerHook", self.hook()), self.job_name, self.owner)

    async def _task_state(self) -> str | None:
        """Return the task's state by the API server; ``removed`` if the task or its run is gone."""
        task = self.task_instance
        if task is None:
            raise RuntimeError("the triggerer gave this trigger no task instance")
        return await sync_to_async(runs.task_state)(task.dag_id, task.run_id, task.task_id, task.map_index)
