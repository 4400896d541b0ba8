"""Training jobs under SageMaker's container contract.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_aws.compute import s3
from local_aws.compute.base import (
    Compute,
    ComputeSettings,
    Container,
    ContainerFailed,
    ContainerSpec,
    SecondaryStatus,
    TrainingResult,
    TrainingSpec,
    TrainingTransition,
)
from local_aws.compute.checkpoints import Checkpoints, folder_of
from local_aws.compute.images import metric_definitions
from local_aws.compute.inside import open_inside, own_folder
from local_aws.compute.logs import LogStream
from local_aws.compute.metrics import FinalMetrics

_log = logging.getLogger(__name__)

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html
STOP_GRACE_SECONDS = 120
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
_MAX_FAILURE_REASON = 1024
_MAX_FAILURE_BYTES = 64 * 1024

# The StatusMessages of https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SecondaryStatusTransition.html
_MESSAGES = {
    SecondaryStatus.STARTING: "Preparing the instances for training",
    SecondaryStatus.DOWNLOADING: "Downloading input data",
    SecondaryStatus.TRAINING: "Training image download completed. Training in progress.",
    SecondaryStatus.UPLOADING: "Uploading generated training model",
    SecondaryStatus.STOPPING: "Stopping the training job",
    SecondaryStatus.COMPLETED: "Training job completed",
    SecondaryStatus.FAILED: "Training job failed",
    SecondaryStatus.STOPPED: "Training job stopped",
    SecondaryStatus.MAX_RUNTIME_EXCEEDED: "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


class _Stopped(Exception):
    """The job was stopped before its container ran."""


class TrainingRun:
    """One training job, run by the thread that calls `run`; other threads may call `stop` only."""

    def __init__(
        self,
        spec: TrainingSpec,
        settings: ComputeSettings,
        compute: Compute,
        on_status: Callable[[TrainingTransition], None],
    ) -> None:
        self._spec = spec
        self._settings = settings
        self._compute = compute
        self._on_status = on_status
        self._opt_ml = settings.state_dir / "training" / spec.region / spec.account_id / spec.job_name
        self._stop_asked = threading.Event()
        self._grace_seconds: float = STOP_GRACE_SECONDS
        # Set by a stop and by the end of the container.
        self._woken = threading.Event()
        self._started_at: datetime | None = None
        self._metrics: FinalMetrics | None = None

    def stop(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """Ask the job to stop and return at once; `run` reports Stopping and returns Stopped. Any thread.

        :param grace_seconds: between SIGTERM and SIGKILL
        """
        self._grace_seconds = grace_seconds
        self._stop_asked.set()
        self._woken.set()

    def run(self) -> TrainingResult:
        """Run the job to its end, reporting each transition; a failure of the job is a result, not an exception."""
        reason = artifacts = None
        try:
            status, artifacts = self._run()
        except _Stopped:
            status = SecondaryStatus.STOPPED
        except ContainerFailed as error:
            status, reason = SecondaryStatus.FAILED, str(error)[:_MAX_FAILURE_REASON]
        except Exception as error:
            _log.exception("training job %s", self._spec.job_name)
            status = SecondaryStatus.FAILED
            reason = f"InternalServerError: We encountered an internal error. Please try again. ({error!r})"
        finally:
            s3.remove_folder(self._opt_ml)
        ended_at = datetime.now(UTC)
        self._report(status, ended_at)
        return TrainingResult(
            status=status,
            failure_reason=reason,
            model_artifacts_s3_uri=artifacts,
            final_metrics=self._metrics.values() if self._metrics else (),
            training_start_time=self._started_at,
            training_end_time=ended_at,
            training_seconds=round((ended_at - self._started_at).total_seconds()) if self._started_at else 0,
        )

    def _run(self) -> tuple[SecondaryStatus, str]:
        self._report(SecondaryStatus.STARTING)
        image = self._compute.pull(self._client("ecr"), self._spec.image)
        self._metrics = FinalMetrics(metric_definitions(image) + self._spec.metric_definitions)
        self._pause()
        self._started_at = datetime.now(UTC)
        deadline = time.monotonic() + self._spec.max_runtime_seconds
        self._report(SecondaryStatus.DOWNLOADING)
        self._prepare()
        self._pause()
        self._report(SecondaryStatus.TRAINING)
        status = self._train(image, deadline)
        self._report(SecondaryStatus.UPLOADING)
        return status, self._upload()

    def _report(self, status: SecondaryStatus, when: datetime | None = None) -> None:
        self._on_status(TrainingTransition(status, _MESSAGES[status], when or datetime.now(UTC)))

    def _pause(self) -> None:
        """Keep a status as long as the settings say."""
        if self._stop_asked.wait(self._settings.pace_seconds):
            self._report(SecondaryStatus.STOPPING)
            raise _Stopped

    def _client(self, service: str) -> Any:
        return self._settings.client(service, self._spec.account_id, self._spec.region, self._spec.role_arn)

    def _prepare(self) -> None:
        """Create the files of /opt/ml.

        https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
        """
        spec = self._spec
        s3.remove_folder(self._opt_ml)
        config = self._opt_ml / "input" / "config"
        for folder in (config, self._opt_ml / "model", self._opt_ml / "output" / "data"):
            folder.mkdir(parents=True)
        _write_json(config / "hyperparameters.json", dict(spec.hyperparameters))
        _write_json(
            config / "resourceconfig.json",
            {
                "current_host": "algo-1",
                "current_instance_type": spec.instance_type,
                "hosts": ["algo-1"],
                "network_interface_name": "lo",
            },
        )
        channels = {}
        client = self._client("s3")
        for channel in spec.channels:
            channels[channel.name] = {
                "TrainingInputMode": "File",
                "S3DistributionType": channel.s3_data_distribution_type,
                "RecordWrapperType": channel.record_wrapper_type,
            } | ({"ContentType": channel.content_type} if channel.content_type else {})
            folder = self._opt_ml / "input" / "data" / channel.name
            folder.mkdir(parents=True)
            s3.download_channel(client, channel, folder, spec.region)
        _write_json(config / "inputdataconfig.json", channels)

    def _train(self, image: str, deadline: float) -> SecondaryStatus:
        """Run the container until it or the job ends.

        :param image: the very image that was pulled

        :raises ContainerFailed: it ended with an error
        """
        spec = self._spec
        environment = {
            "TRAINING_JOB_NAME": spec.job_name,
            "TRAINING_JOB_ARN": spec.job_arn,
            "AWS_REGION": spec.region,
            **spec.environment,
        }
        checkpoints = self._checkpoints()
        if checkpoints:
            checkpoints.begin()
        container = self._compute.start(
            ContainerSpec(spec.job_name, image, "train", self._opt_ml, environment, network=spec.network)
        )
        reader = threading.Thread(target=self._read_logs, args=(container,), name=f"log-{spec.job_name}", daemon=True)
        reader.start()
        try:
            status = self._watch(container, deadline)
        finally:
            container.stop(0)
            reader.join()
            if checkpoints:
                checkpoints.end()
        exit_status = container.wait()
        if status is SecondaryStatus.COMPLETED and exit_status:
            raise ContainerFailed(self._failure(exit_status))
        return status

    def _checkpoints(self) -> Checkpoints | None:
        if self._spec.checkpoints is None:
            return None
        uri, local_path = self._spec.checkpoints
        folder = folder_of(local_path, self._opt_ml)
        # CreateTrainingJob has refused other paths.
        return Checkpoints(self._client("s3"), uri, folder, self._opt_ml) if folder else None

    def _watch(self, container: Container, deadline: float) -> SecondaryStatus:
        """Wait for the container's end, a stop or the deadline, and in the last two cases end the container."""

        def wake_at_the_end() -> None:
            container.wait()
            self._woken.set()

        threading.Thread(target=wake_at_the_end, name=f"wait-{self._spec.job_name}", daemon=True).start()
        self._woken.wait(max(0.0, deadline - time.monotonic()))
        if container.wait(0) is not None:
            return SecondaryStatus.COMPLETED
        status = SecondaryStatus.MAX_RUNTIME_EXCEEDED
        if self._stop_asked.is_set():
            status = SecondaryStatus.STOPPED
            self._report(SecondaryStatus.STOPPING)
        container.stop(self._grace_seconds)
        return status

    def _read_logs(self, container: Container) -> None:
        stream = LogStream(self._client("logs"), LOG_GROUP, f"{self._spec.job_name}/algo-1-{int(time.time())}")
        assert self._metrics is not None  # noqa: S101 - made before the container is started
        for line in container.logs():
            stream.write(line)
            self._metrics.read(line.replace("\t", "#011"))
        for note in self._metrics.end():
            stream.write(note)
        self._metrics.put(self._client("cloudwatch"), self._spec.job_name)
        stream.close()

    def _failure(self, exit_status: int) -> str:
        code = 128 - exit_status if exit_status < 0 else exit_status
        file = open_inside(self._opt_ml / "output" / "failure", self._opt_ml)
        text = ""
        if file:
            with file:
                text = file.read(_MAX_FAILURE_BYTES).decode(errors="replace").strip()
        if not text:
            text = "See job logs for more information"
            if code == 128 + signal.SIGKILL:
                text = "The container was killed; it may have run out of memory"
        if not text.startswith(("ClientError:", "AlgorithmError:")):
            text = f"AlgorithmError: {text}"
        suffix = f", exit code: {code}"
        return text[: _MAX_FAILURE_REASON - len(suffix)] + suffix

    def _upload(self) -> str:
        client = self._client("s3")
        base = f"{self._spec.s3_output_uri.rstrip('/')}/{self._spec.job_name}/output"
        output = own_folder(self._opt_ml, "output", "data")
        # Beside the directory, for in it the container may have put a link by this name.
        archive = self._opt_ml.with_name(f"{self._opt_ml.name}.tar.gz")
        if any(output.iterdir()):
            s3.upload_folder(client, output, f"{base}/output.tar.gz", archive)
        s3.upload_folder(client, own_folder(self._opt_ml, "model"), f"{base}/model.tar.gz", archive)
        return f"{base}/model.tar.gz"


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document))
