"""Training: one SageMaker training job for each revision, created once and adopted after any crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

from slipway.aws.links import TrainingJobLink
from slipway.aws.logs import TRAINING_LOG_GROUP, LogsHook
from slipway.aws.patience import without_patience
from slipway.aws.s3 import S3Hook
from slipway.aws.sagemaker import SageMakerHook
from slipway.aws.translation import missing_permission
from slipway.errors import AwsError, NameConflict, SlipwayError, TrainingFailed, TrainingStopped
from slipway.formats.json_numbers import json_value, number_of
from slipway.host.links import NewerReleaseLink
from slipway.names import training_job_name
from slipway.plan import TAG_DIGEST, ReleasePlan, pull_plan
from slipway.request.fence import load_request
from slipway.stages.mixin import StageMixin
from slipway.states import BoardStage, TrainingJobStatus
from slipway.training.owner import STOPPED_BY_TAG, JobOwner, ensure_airflow_id
from slipway.training.wait import TrainingJobTrigger
from slipway.waiting.activity import note_activity
from slipway.waiting.results import WaitOutcome, WaitResult, backoff_seconds

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig

# Failures that are not the job's fault: no instance was available, or SageMaker had an internal error.
# https://docs.aws.amazon.com/sagemaker/latest/dg/distributed-training-options.html
_PASSING_REASONS = ("CapacityError", "InsufficientInstanceCapacity", "InternalServerError")
_MAX_PASSING_JOBS = 3
_MAX_JOBS = 9

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html#API_CreateTrainingJob_Errors
_QUOTA_CODES = ("ResourceLimitExceeded", "LimitExceeded", "LimitExceededException")
_NAME_TAKEN_CODE = "ResourceInUse"

# SecondaryStatus says whether a person or one of the job's own limits stopped it.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
_LIMITS = {
    "MaxRuntimeExceeded": "MaxRuntimeInSeconds of its StoppingCondition",
    "MaxWaitTimeExceeded": "MaxWaitTimeInSeconds of its StoppingCondition",
}
_ENDED = (TrainingJobStatus.COMPLETED, TrainingJobStatus.FAILED, TrainingJobStatus.STOPPED)
_LOG_LINES = 20


class SlipwayTrainingOperator(StageMixin, SageMakerTrainingOperator):
    """Create the revision's training job, or adopt the one of an earlier attempt, and wait for it without a slot.

    The parameters are read inside execute() from the run's own copy of the zip: they are never rendered, logged or
    passed on.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html

    :param model: the model file
    :param quota_wait_seconds: how long to wait while a quota or throttling prevents the job's creation
    """

    aws_hook_class = SageMakerHook  # type: ignore[assignment]
    # None: what is rendered costs a request, and nothing here is a template.
    template_fields = ()
    operator_extra_links = (TrainingJobLink(), NewerReleaseLink())

    def __init__(self, *, model: ModelConfig, quota_wait_seconds: float = 3600, **kwargs: Any) -> None:
        super().__init__(config={}, deferrable=True, print_log=False, aws_conn_id=model.aws_conn_id, **kwargs)
        self.model = model
        self.configure_stages(model)
        self.quota_wait_seconds = quota_wait_seconds
        self._seen: tuple[ReleasePlan, Mapping[str, Any]] | None = None

    @property
    def _sagemaker(self) -> SageMakerHook:
        return cast("SageMakerHook", self.hook)

    def execute(self, context: Context) -> dict[str, Any]:
        """Create or adopt the job, and wait for it.

        :param context: the task's Airflow context
        :returns: name, ARN, artifact, image, final metrics and seconds of the completed job
        :raises slipway.errors.Superseded: when a newer release replaces this one
        :raises slipway.errors.NameConflict: when a job of another digest has the name
        :raises slipway.errors.TrainingFailed: when the job failed, with SageMaker's reason and the last log lines
        :raises slipway.errors.TrainingStopped: when somebody or a runtime limit stopped the job
        """
        self.enter_stage(context, BoardStage.TRAIN)
        return self._train(context, give_up_at=time.time() + self.quota_wait_seconds)

    def resume(self, context: Context, event: dict[str, Any] | None) -> dict[str, Any]:
        """Continue when the job has ended or its deadline has passed.

        :param context: the task's Airflow context
        :param event: how the wait ended
        :returns: as execute
        """
        result = WaitResult.from_event(event)
        if result.outcome is WaitOutcome.REFUSED:
            raise result.refused("Cannot watch the training job", pull_plan(context).training_job_name)
        return self._train(context, give_up_at=time.time() + self.quota_wait_seconds)

    def create_again(self, context: Context, event: Any, give_up_at: float) -> dict[str, Any]:
        """Try again after a quota, throttling or an outage prevented the job's creation.

        :param context: the task's Airflow context
        :param event: the end of the pause; its content is not used
        :param give_up_at: when to give up, in seconds since the epoch
        :returns: as execute
        """
        return self._train(context, give_up_at=give_up_at)

    def _train(self, context: Context, *, give_up_at: float) -> dict[str, Any]:
        # The owner is read from Airflow only for a job that runs.
        plan, owner = pull_plan(context), cache(partial(self._owner, context))
        for attempt in count(1):
            name = training_job_name(plan.prefix, plan.revision.written_at, plan.revision_id, attempt)
            try:
                # The deferred wait for a quota or an outage is longer than a call's, and needs no worker slot.
                with without_patience():
                    job = self._create_or_adopt(plan, name, owner)
            except AwsError as error:
                self._try_later(error, name, give_up_at)
            self._seen = (plan, job)
            TrainingJobLink.keep_for(job["TrainingJobArn"], self, self.aws_conn_id, job_name=name)
            status = TrainingJobStatus(job["TrainingJobStatus"])
            if status not in _ENDED:
                self._wait_for_job(job, owner())
            if status is TrainingJobStatus.COMPLETED:
                self._log_the_end(name)
                return self._result(job)
            self._raise_unless_another(job, status, attempt)
        raise AssertionError("the number of attempts is limited")

    def _owner(self, context: Context) -> JobOwner:
        dag_run = context["dag_run"]
        return JobOwner(ensure_airflow_id(), dag_run.dag_id, self.task_id, dag_run.run_id)

    def _create_or_adopt(self, plan: ReleasePlan, name: str, owner: Callable[[], JobOwner]) -> dict:
        job = self._sagemaker.describe_training_job(name)
        if job is None:
            try:
                self._create(plan, name, owner())
            except AwsError as error:
                # Another attempt of this task was faster; its job is adopted below.
                if error.code != _NAME_TAKEN_CODE:
                    raise
            job = self._sagemaker.describe_training_job(name)
            if job is None:
                raise SlipwayError(
                    "The training job was created and cannot be found",
                    resource=name,
                    why="DescribeTrainingJob does not show it yet",
                    fix="clear this task, which adopts the job",
                )
        tags = self._sagemaker.list_tags(job["TrainingJobArn"])
        self._check_digest(plan, job, tags)
        if job["TrainingJobStatus"] not in _ENDED and JobOwner.from_tags(tags) != owner():
            self._adopt(job, owner())
        return job

    def _adopt(self, job: Mapping[str, Any], owner: JobOwner) -> None:
        """Make this run the job's owner, so that the job is not stopped with the run that created it."""
        self.log.info("Another run created %s; this run waits for it now", job["TrainingJobName"])
        if tags := owner.to_tags():
            self._sagemaker.add_tags(job["TrainingJobArn"], tags)

    def _create(self, plan: ReleasePlan, name: str, owner: JobOwner) -> None:
        parameters = self._parameters(plan)
        tags = [*parameters["Tags"], *({"Key": key, "Value": value} for key, value in owner.to_tags().items())]
        note_activity()
        self._sagemaker.create_training_job({**parameters, "TrainingJobName": name, "Tags": tags})
        self.log.info("Created the training job %s", name)

    def _parameters(self, plan: ReleasePlan) -> dict[str, Any]:
        request = load_request(S3Hook(aws_conn_id=self.aws_conn_id), plan, self.model)
        return request.create_training_job_parameters(plan)

    def _check_digest(self, plan: ReleasePlan, job: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        digest = tags.get(TAG_DIGEST)
        if digest != plan.digest:
            raise NameConflict(
                "Another release or program has a training job of this name",
                resource=job["TrainingJobName"],
                why=f"its digest is {digest}, this release's is {plan.digest}",
                fix="upload the zip again: a new version gets a new name",
            )
        self.log.info(
            "The training job %s belongs to this release; it is %s", job["TrainingJobName"], job["TrainingJobStatus"]
        )

    def _try_later(self, error: AwsError, name: str, give_up_at: float) -> NoReturn:
        quota = error.code in _QUOTA_CODES
        if not (quota or error.transient):
            raise error
        if time.time() >= give_up_at:
            raise TrainingFailed(
                f"The training job could not be created within {self.quota_wait_seconds:.0f} s",
                resource=name,
                why=error.why,
                fix="ask for a higher quota in the Service Quotas console, or wait for other jobs; then clear this task"
                if quota
                else "clear this task when AWS answers again; it adopts a job that was created",
            ) from error
        self.log.warning("%s. Waiting", error.problem)
        # Jobs that use a quota run for minutes: the first pause is longer than the time between two polls.
        pause_seconds = backoff_seconds(3, base_seconds=self.model.timeouts.poll_seconds)
        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=pause_seconds)),
            method_name="create_again",
            kwargs={"give_up_at": give_up_at},
        )

    def _wait_for_job(self, job: Mapping[str, Any], owner: JobOwner) -> NoReturn:
        name = job["TrainingJobName"]
        # SageMaker counts the runtime from the start of training; the margin is for what comes before and after.
        condition = job["StoppingCondition"]
        limit_seconds = max(condition["MaxRuntimeInSeconds"], condition.get("MaxWaitTimeInSeconds", 0))
        limit_seconds += self.model.timeouts.training_margin_seconds
        deadline = job["CreationTime"].timestamp() + limit_seconds
        if time.time() >= deadline:
            self._sagemaker.stop_training_job(name)
            raise TrainingStopped(
                f"The training job did not end within {limit_seconds:.0f} s and was stopped",
                resource=name,
                why=f"it is {job['TrainingJobStatus']}, {job.get('SecondaryStatus')}",
                fix="look at the job in the SageMaker console, then upload the zip again",
            )
        self.defer(
            trigger=TrainingJobTrigger(
                job_name=name,
                deadline=deadline,
                poll_seconds=self.model.timeouts.poll_seconds,
                owner=owner.to_json(),
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
            ),
            method_name="resume",
        )

    def _raise_unless_another(self, job: Mapping[str, Any], status: TrainingJobStatus, attempt: int) -> None:
        """Raise the job's end as an error, unless another job must be tried."""
        name, reason = job["TrainingJobName"], job.get("FailureReason", "")
        if status is TrainingJobStatus.FAILED:
            if reason.startswith(_PASSING_REASONS) and attempt < _MAX_PASSING_JOBS:
                self._log_the_end(name)
                self.log.warning("%s failed, which is not its own fault: %s. Trying another job", name, reason)
                return
            raise TrainingFailed(
                "The training job failed",
                resource=name,
                why=self._with_log(reason or "no reason given", name),
                fix=_fix_of(reason),
            )
        if limit := _LIMITS.get(job.get("SecondaryStatus", "")):
            raise TrainingStopped(
                f"The training job reached {limit} ({job['SecondaryStatus']})",
                resource=name,
                why=self._with_log(reason or f"it ran for {job.get('TrainingTimeInSeconds')} s", name),
                fix="raise the limit in trainingjob.json, or train less, and upload the zip again",
            )
        self._log_the_end(name)
        stopped_by = self._sagemaker.list_tags(job["TrainingJobArn"]).get(STOPPED_BY_TAG)
        if stopped_by and attempt < _MAX_JOBS:
            self.log.info("%s was stopped when this task was failed or cleared. Training again", name)
            return
        raise TrainingStopped(
            "Somebody stopped the training job (Stopped)",
            resource=name,
            why=reason or "SageMaker gives no reason",
            fix="upload the zip again",
        )

    def _log_the_end(self, name: str) -> None:
        """Log where the job's whole log is, and its last lines.

        The trigger has copied more of it, but into a file of the triggerer's own. That file is overwritten when the
        task waits for another job, and may not reach remote storage.
        """
        self.log.info("The whole log of %s: CloudWatch Logs, group %s, streams %s/", name, TRAINING_LOG_GROUP, name)
        with without_patience():
            for line in self._last_lines(name):
                self.log.info("%s", line)

    def _with_log(self, reason: str, name: str) -> str:
        lines = self._last_lines(name)
        return "\n".join([reason, "The last lines of its log:", *lines]) if lines else reason

    def _last_lines(self, name: str) -> list[str]:
        try:
            return LogsHook(**self._hook_parameters).last_lines(name, _LOG_LINES)
        except AwsError as error:
            return [error.problem]

    def _result(self, job: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "training_job_name": job["TrainingJobName"],
            "training_job_arn": job["TrainingJobArn"],
            "model_data_url": job["ModelArtifacts"]["S3ModelArtifacts"],
            "image": job["AlgorithmSpecification"]["TrainingImage"],
            "metrics": {
                metric["MetricName"]: json_value(number_of(metric.get("Value")))
                for metric in job.get("FinalMetricDataList", [])
            },
            "seconds": job.get("TrainingTimeInSeconds", 0),
        }

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Say what the job read and wrote, instead of the base, which knows no versions.

        :param task_instance: the task that has ended; what it saw of the job is here
        :returns: None before there is a job
        """
        from slipway.training.lineage import of_job

        return of_job(*self._seen) if self._seen else None


def _fix_of(reason: str) -> str:
    """Say what to do about a failed job."""
    then = "upload the zip again"
    if "AccessDenied" in reason:
        return missing_permission(reason, then=then) or f"let the training role do what the reason names; then {then}"
    return f"correct what the reason names, in trainingjob.json or in the data, and {then}"
