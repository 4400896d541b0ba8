"""The wait for a training job: until it ends, until its deadline, or until a person ends the task."""

from __future__ import annotations

from typing import Any, cast

from slipway.aws.logs import LogTail
from slipway.aws.patience import without_patience
from slipway.aws.sagemaker import SageMakerHook
from slipway.formats.stored import known
from slipway.training.owner import JobOwner, stop_and_mark
from slipway.waiting.followed import FollowedWorkTrigger


class TrainingJobTrigger(FollowedWorkTrigger):
    """Wait until a training job has ended, and copy its log into the task's log.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html

    :param job_name: the training job
    :param deadline: when to give up, in seconds since the epoch
    :param poll_seconds: time between two polls
    :param owner: the task that waits, as JobOwner.to_json gives it; a job with another owner is not stopped
    """

    aws_hook_class = SageMakerHook
    work, short_work = "training job", "job"

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
            work_id=job_name,
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
        """Copy the new lines of the job's log.

        :param response: the response of DescribeTrainingJob
        """
        instances = response.get("ResourceConfig", {}).get("InstanceCount", 1)
        await self.copy_log(self._tail, stream_count=instances)

    def _stop(self) -> None:
        # The triggerer has one thread for this, for all triggers. The reaper stops what this cannot.
        with without_patience():
            stop_and_mark(cast("SageMakerHook", self.hook()), self.job_name, self.owner)
