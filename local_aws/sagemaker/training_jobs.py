"""Training jobs: accepted at once, run in their own threads, and saved at each step.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from local_aws.compute.base import (
    SecondaryStatus,
    TrainingResult,
    TrainingSpec,
    TrainingTransition,
)
from local_aws.compute.images import metric_definitions
from local_aws.compute.training import TrainingRun
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.listing import page_of
from local_aws.framework.store import Document, Scope, Store
from local_aws.sagemaker.images import ImageCheck
from local_aws.sagemaker.objects import ObjectCheck
from local_aws.sagemaker.resources import invalid, now, without
from local_aws.sagemaker.tags import Tags
from local_aws.sagemaker.training_checks import DEFAULT_MAX_RUNTIME_SECONDS, TrainingJobChecks

RunFactory = Callable[[TrainingSpec, Callable[[TrainingTransition], None]], TrainingRun]

_log = logging.getLogger(__name__)

_INTERRUPTED = "InternalServerError: The job was interrupted: the local AWS went down while it ran. Start it again."
# At the stop of the local AWS. A job that runs longer is Failed, and its output is lost.
_SHUTDOWN_GRACE_SECONDS = 10
# Time for the grace period, the last status and the last log lines.
_SHUTDOWN_SECONDS = 15
_TERMINAL = (
    SecondaryStatus.COMPLETED,
    SecondaryStatus.FAILED,
    SecondaryStatus.STOPPED,
    SecondaryStatus.MAX_RUNTIME_EXCEEDED,
)


class TrainingJobs:
    """The training job operations.

    :param store: where jobs are kept
    :param tags: of all resources
    :param objects: checks objects in S3
    :param images: checks images
    :param new_run: prepares the compute of one job
    """

    def __init__(self, store: Store, tags: Tags, objects: ObjectCheck, images: ImageCheck, new_run: RunFactory) -> None:
        self._jobs = store.collection("training_jobs")
        self._tags = tags
        self._checks = TrainingJobChecks(objects, images)
        self._new_run = new_run
        # Guards _runs and _going_down.
        self._lock = threading.Lock()
        self._runs: dict[str, tuple[TrainingRun, threading.Thread]] = {}
        self._going_down = False

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "CreateTrainingJob": self._create,
            "DescribeTrainingJob": lambda context, parameters: self._get(context, parameters["TrainingJobName"]),
            "ListTrainingJobs": self._list,
            "StopTrainingJob": self._stop,
        }

    def start(self) -> None:
        """Fail the jobs of an earlier process; none of them runs any more."""
        for scope, name, job in self._jobs.everywhere():
            if job["TrainingJobStatus"] in ("InProgress", "Stopping"):
                self._jobs.update(scope, name, _interrupt)

    def stop(self) -> None:
        """Stop all jobs; those that do not end are Failed, as after a crash."""
        with self._lock:
            self._going_down = True
            runs = list(self._runs.values())
        for run, _ in runs:
            run.stop(_SHUTDOWN_GRACE_SECONDS)
        deadline = now() + _SHUTDOWN_SECONDS
        for _, thread in runs:
            thread.join(max(0.0, deadline - now()))
        self.start()

    def _get(self, scope: Scope, name: str) -> Document:
        job = self._jobs.get(scope, name.lower())
        if job is None:
            raise invalid("Requested resource not found.")
        return job

    def _create(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = parameters["TrainingJobName"]
        arn = context.arn("sagemaker", f"training-job/{name.lower()}")
        self._checks.require(context, parameters)
        if not self._jobs.create(context, name.lower(), _new_job(parameters, arn)):
            raise ServiceError(
                "ResourceInUse",
                "Training job names must be unique within an AWS account and region, and a training job with this name"
                f" already exists ({arn})",
            )
        self._tags.attach(context, arn, parameters.get("Tags"))
        self._launch(
            context, name.lower(), TrainingSpec.from_request(context.account_id, context.region, arn, parameters)
        )
        return {"TrainingJobArn": arn}

    def _launch(self, scope: Scope, name: str, spec: TrainingSpec) -> None:
        held: list[TrainingTransition] = []

        def report(transition: TrainingTransition) -> None:
            # The last transition is shown together with the result it announces.
            if transition.status in _TERMINAL:
                held.append(transition)
            else:
                self._jobs.update(scope, name, lambda job: _enter(job, transition))

        run = self._new_run(spec, report)
        thread = threading.Thread(
            target=self._drive, args=(scope, name, spec, run, held), name=f"train-{name}", daemon=True
        )
        with self._lock:
            self._runs[spec.job_arn] = run, thread
        thread.start()
        # StopTrainingJob may have come before there was a run to stop.
        if (self._jobs.get(scope, name) or {}).get("TrainingJobStatus") == "Stopping":
            run.stop()

    def _drive(
        self, scope: Scope, name: str, spec: TrainingSpec, run: TrainingRun, held: list[TrainingTransition]
    ) -> None:
        try:
            result = run.run()
            interrupted = self._going_down and result.status is not SecondaryStatus.COMPLETED
            self._jobs.update(scope, name, _interrupt if interrupted else lambda job: _finish(job, held, result))
        except Exception:
            _log.exception("Training job %s failed unexpectedly", name)
            self._jobs.update(
                scope, name, lambda job: _fail(job, "InternalServerError: We encountered an internal error.")
            )
        finally:
            with self._lock:
                del self._runs[spec.job_arn]

    def _list(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        # There are no warm pools and no training plans here.
        narrowed = {"WarmPoolStatusEquals", "TrainingPlanArnEquals"} & parameters.keys()
        if narrowed:
            return {"TrainingJobSummaries": []}
        jobs, token = page_of(
            self._jobs,
            context,
            parameters,
            name_field="TrainingJobName",
            sort_fields={"Name": "TrainingJobName", "CreationTime": "CreationTime", "Status": "TrainingJobStatus"},
            default_order="Ascending",
        )
        return {"TrainingJobSummaries": jobs, "NextToken": token}

    def _stop(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        def ask(job: Document) -> None:
            if job["TrainingJobStatus"] not in ("InProgress", "Stopping"):
                raise invalid(
                    f"The request was rejected because the training job is in status {job['TrainingJobStatus']}."
                )
            job["TrainingJobStatus"] = "Stopping"
            job["LastModifiedTime"] = now()

        job = self._jobs.update(context, parameters["TrainingJobName"].lower(), ask)
        if job is None:
            raise invalid("Requested resource not found.")
        with self._lock:
            running = self._runs.get(job["TrainingJobArn"])
        if running:
            running[0].stop()
        return {}


def _new_job(parameters: dict[str, Any], arn: str) -> Document:
    created = now()
    output = parameters["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    first = {"Status": "Starting", "StartTime": created, "StatusMessage": "Preparing the instances for training"}
    return {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        **without(parameters, "Tags", "StoppingCondition"),
        "AlgorithmSpecification": _with_metrics(parameters["AlgorithmSpecification"]),
        "StoppingCondition": {
            "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_SECONDS,
            **parameters.get("StoppingCondition", {}),
        },
        "TrainingJobArn": arn,
        "ModelArtifacts": {"S3ModelArtifacts": f"{output}/{parameters['TrainingJobName']}/output/model.tar.gz"},
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [first],
        "CreationTime": created,
        "LastModifiedTime": created,
    }


def _with_metrics(specification: dict[str, Any]) -> dict[str, Any]:
    """Return a specification with a built-in algorithm's metrics, which the SDK's TrainingJobAnalytics reads there.

    https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
    """
    own = metric_definitions(specification["TrainingImage"])
    definitions = [{"Name": name, "Regex": regex} for name, regex in own]
    definitions += specification.get("MetricDefinitions", [])
    return {**specification, **({"MetricDefinitions": definitions} if definitions else {})}


def _enter(job: Document, transition: TrainingTransition) -> None:
    at = transition.time.timestamp()
    transitions = job["SecondaryStatusTransitions"]
    if transitions[-1]["Status"] == transition.status.value:
        transitions[-1]["StatusMessage"] = transition.message
    else:
        transitions[-1]["EndTime"] = at
        transitions.append({"Status": transition.status.value, "StartTime": at, "StatusMessage": transition.message})
    job["SecondaryStatus"] = transition.status.value
    # A job that was asked to stop is Stopping, whatever its container still does.
    if job["TrainingJobStatus"] != "Stopping" or transition.status in _TERMINAL:
        job["TrainingJobStatus"] = transition.status.job_status
    if transition.status is SecondaryStatus.TRAINING:
        job.setdefault("TrainingStartTime", at)
    job["LastModifiedTime"] = at


def _finish(job: Document, held: list[TrainingTransition], result: TrainingResult) -> None:
    for transition in held:
        _enter(job, transition)
    end = result.training_end_time.timestamp()
    job["SecondaryStatusTransitions"][-1]["EndTime"] = end
    job["TrainingEndTime"] = end
    if result.training_start_time:
        job["TrainingStartTime"] = result.training_start_time.timestamp()
        job["TrainingTimeInSeconds"] = job["BillableTimeInSeconds"] = max(1, result.training_seconds)
    if result.failure_reason:
        job["FailureReason"] = result.failure_reason[:1024]
    if result.model_artifacts_s3_uri:
        job["ModelArtifacts"] = {"S3ModelArtifacts": result.model_artifacts_s3_uri}
    job["FinalMetricDataList"] = [
        {"MetricName": metric.name, "Value": metric.value, "Timestamp": metric.time.timestamp()}
        for metric in result.final_metrics
    ]


def _fail(job: Document, reason: str) -> None:
    at = now()
    job["SecondaryStatusTransitions"][-1].setdefault("EndTime", at)
    job["SecondaryStatusTransitions"].append(
        {"Status": "Failed", "StartTime": at, "EndTime": at, "StatusMessage": "Training job failed"}
    )
    job |= {
        "TrainingJobStatus": "Failed",
        "SecondaryStatus": "Failed",
        "FailureReason": reason,
        "TrainingEndTime": at,
        "LastModifiedTime": at,
    }


def _interrupt(job: Document) -> None:
    _fail(job, _INTERRUPTED)
