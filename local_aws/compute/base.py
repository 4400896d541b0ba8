"""The interface of control plane and compute: specifications in, transitions and results out."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, DeferredRefreshableCredentials
from botocore.loaders import Loader

from local_aws.compute.usage import Usage

# The client's name in AWS's logs when SageMaker calls another service.
USER_AGENT = "sagemaker.amazonaws.com"
# More than the jobs and instances that a machine runs at once, each of which writes its log by a thread.
_MAX_CONNECTIONS = 50
# The sessions of roles are named as SageMaker names them.
_ROLE_SESSION = "SageMaker"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CheckpointConfig.html
DEFAULT_CHECKPOINTS = "/opt/ml/checkpoints/"
# Otherwise the client of each role reads the megabytes of JSON that describe its service again.
# https://docs.aws.amazon.com/boto3/latest/guide/loaders.html
_LOADER = Loader()


class ContainerFailed(Exception):
    """A container could not be started, ended badly or never became healthy; its text is AWS's FailureReason."""


class UnknownImage(ContainerFailed):
    """No algorithm is registered for the repository an image URI names."""


@dataclass(frozen=True)
class ComputeSettings:
    """Where the compute finds AWS, where it keeps its files, and how it runs containers.

    :param endpoint_url: the AWS to download from, upload to and log to
    :param state_dir: a directory for the compute only; it survives a restart
    :param kind: name of a compute back end, see `local_aws.compute.kinds.KINDS`
    :param pace_seconds: how long Starting and Downloading last at least
    :param metrics_interval_seconds: how often the metrics of endpoints are put to CloudWatch
    :param capture_interval_seconds: how often the captured requests of endpoints are put to S3
    :param secret_access_key: secret of the access key
    :param access_key_id: the access key; the account's 12 digits when empty
    """

    endpoint_url: str
    state_dir: Path
    secret_access_key: str = field(repr=False)
    access_key_id: str = ""
    kind: str = "process"
    pace_seconds: float = 0.0
    metrics_interval_seconds: float = 60.0
    capture_interval_seconds: float = 60.0

    def client(self, service: str, account_id: str, region: str, role_arn: str = "") -> Any:
        """Return the boto3 client of one account and region; it may be used by any thread.

        :param role_arn: the role that it acts as; empty for SageMaker itself
        """
        access_key_id = self.access_key_id or account_id
        return _client(service, access_key_id, region, self.secret_access_key, self.endpoint_url, role_arn)


# boto3 needs some tenths of a second to make a client, so jobs, endpoints and requests share them.
@functools.cache
def _client(
    service: str, access_key_id: str, region: str, secret_access_key: str, endpoint_url: str, role_arn: str
) -> Any:
    if not role_arn:
        return new_client(service, region, endpoint_url, USER_AGENT, Credentials(access_key_id, secret_access_key))
    sts = _client("sts", access_key_id, region, secret_access_key, endpoint_url, "")
    credentials = DeferredRefreshableCredentials(lambda: _assume(sts, role_arn), "sts-assume-role")
    return new_client(service, region, endpoint_url, USER_AGENT, credentials)


def new_client(service: str, region: str, endpoint_url: str, user_agent: str, credentials: Any) -> Any:
    """Make a client of this local AWS, as a service of it that calls another one.

    :param service: boto3's name for the service that is called
    :param endpoint_url: of the local AWS
    :param user_agent: names the caller in AWS's logs
    :param credentials: botocore's, of an account or of a role's session
    """
    # Each client has its own session, because one session must not make two clients at the same time.
    core: Any = botocore.session.get_session()
    core._credentials = credentials
    session: Any = boto3.session.Session(botocore_session=core)
    # Not before, because boto3 adds a folder to the loader that it finds.
    core.register_component("data_loader", _LOADER)
    return session.client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        config=Config(
            user_agent_extra=user_agent,
            max_pool_connections=_MAX_CONNECTIONS,
            retries={"mode": "standard", "max_attempts": 5},
            s3={"addressing_style": "path"},
            # An object of another tool may carry a checksum of a kind that the server does not know.
            response_checksum_validation="when_required",
            request_checksum_calculation="when_required",
        ),
    )


def _assume(sts: Any, role_arn: str) -> dict[str, str]:
    """Start a session of a role; botocore calls this again before it expires."""
    found = sts.assume_role(RoleArn=role_arn, RoleSessionName=_ROLE_SESSION)["Credentials"]
    return {
        "access_key": found["AccessKeyId"],
        "secret_key": found["SecretAccessKey"],
        "token": found["SessionToken"],
        "expiry_time": found["Expiration"].isoformat(),
    }


# --- containers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ContainerSpec:
    """One container: an image run with `train` or `serve`.

    :param name: unique among the running ones, shown in logs and process lists
    :param opt_ml: the directory that the container sees as /opt/ml
    :param network: whether an image of one's own reaches the internet; the built-in algorithms never do
    :param port: of this machine, at which `serve` is reached
    """

    name: str
    image: str
    command: Literal["train", "serve"]
    opt_ml: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = True
    port: int | None = None


class Container(Protocol):
    """A started container; every method may be called by any thread."""

    def logs(self) -> Iterator[str]:
        """Yield the lines of stdout and stderr as they are written, until the container ends; one reader only."""

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Return the exit status, negative for a signal; None when it still runs after the timeout."""

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM, after the grace period SIGKILL, to every process of the container; return when it is gone."""

    def usage(self) -> Usage | None:
        """Return what the container has used; None when that is not known."""


class Compute(Protocol):
    """A way to run containers; every method may be called by any thread."""

    def pull(self, client: Any, image: str) -> str:
        """Bring an image to this machine.

        :param client: boto3's of ECR, as the role that pulls
        :param image: its URI
        :returns: the URI by which `start` knows this very image, whatever its tag names later
        :raises UnknownImage: it cannot be pulled
        """

    def start(self, spec: ContainerSpec) -> Container:
        """Start a container.

        :param spec: with the URI that `pull` has returned
        :raises UnknownImage: nothing is registered for the image
        """

    def reap_orphans(self) -> list[str]:
        """Kill what an earlier host process left running when it was killed; return the names of the containers."""

    def remove_unused(self) -> None:
        """Remove images that nothing has used for long; anything may be running."""


# --- training --------------------------------------------------------------------------------------------------------


class SecondaryStatus(StrEnum):
    """The statuses of https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SecondaryStatusTransition.html."""

    STARTING = "Starting"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    UPLOADING = "Uploading"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"

    @property
    def job_status(self) -> str:
        """The TrainingJobStatus that goes with this secondary status."""
        if self in (SecondaryStatus.COMPLETED, SecondaryStatus.FAILED, SecondaryStatus.STOPPED):
            return str(self.value)
        if self is SecondaryStatus.MAX_RUNTIME_EXCEEDED:
            return "Stopped"
        return "Stopping" if self is SecondaryStatus.STOPPING else "InProgress"


@dataclass(frozen=True)
class Channel:
    """One entry of InputDataConfig."""

    name: str
    s3_uri: str
    s3_data_type: str = "S3Prefix"
    s3_data_distribution_type: str = "FullyReplicated"
    content_type: str | None = None
    compression_type: str = "None"
    record_wrapper_type: str = "None"

    @classmethod
    def from_request(cls, entry: Mapping[str, Any]) -> Self:
        """Read an entry of CreateTrainingJob's InputDataConfig."""
        source = entry["DataSource"]["S3DataSource"]
        return cls(
            name=entry["ChannelName"],
            s3_uri=source["S3Uri"],
            s3_data_type=source["S3DataType"],
            s3_data_distribution_type=source.get("S3DataDistributionType", "FullyReplicated"),
            content_type=entry.get("ContentType"),
            compression_type=entry.get("CompressionType", "None"),
            record_wrapper_type=entry.get("RecordWrapperType", "None"),
        )


@dataclass(frozen=True)
class TrainingSpec:
    """What a training job runs.

    :param s3_output_uri: S3OutputPath; the artifact goes to {S3OutputPath}/{job}/output/model.tar.gz
    :param metric_definitions: (name, regular expression with one group) pairs, beside the algorithm's own
    :param role_arn: the role that reads the data and writes the artifact and the log; empty for SageMaker itself
    :param checkpoints: S3Uri and LocalPath of CheckpointConfig; None without
    :param network: whether its container may use a network
    """

    account_id: str
    region: str
    job_name: str
    job_arn: str
    image: str
    hyperparameters: Mapping[str, str]
    channels: tuple[Channel, ...]
    s3_output_uri: str
    max_runtime_seconds: int
    instance_type: str = "ml.m4.xlarge"
    instance_count: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    metric_definitions: tuple[tuple[str, str], ...] = ()
    role_arn: str = ""
    checkpoints: tuple[str, str] | None = None
    network: bool = True

    @classmethod
    def from_request(cls, account_id: str, region: str, job_arn: str, request: Mapping[str, Any]) -> Self:
        """Read the parameters of CreateTrainingJob (validated before)."""
        algorithm = request["AlgorithmSpecification"]
        checkpoints = request.get("CheckpointConfig")
        return cls(
            account_id=account_id,
            region=region,
            job_name=request["TrainingJobName"],
            job_arn=job_arn,
            image=algorithm["TrainingImage"],
            hyperparameters=dict(request.get("HyperParameters", {})),
            channels=tuple(Channel.from_request(entry) for entry in request.get("InputDataConfig", [])),
            s3_output_uri=request["OutputDataConfig"]["S3OutputPath"],
            max_runtime_seconds=request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86400),
            instance_type=request["ResourceConfig"].get("InstanceType", "ml.m4.xlarge"),
            instance_count=request["ResourceConfig"].get("InstanceCount", 1),
            environment=dict(request.get("Environment", {})),
            metric_definitions=tuple((m["Name"], m["Regex"]) for m in algorithm.get("MetricDefinitions", [])),
            role_arn=request.get("RoleArn", ""),
            checkpoints=(checkpoints["S3Uri"], checkpoints.get("LocalPath") or DEFAULT_CHECKPOINTS)
            if checkpoints
            else None,
            network=not request.get("EnableNetworkIsolation", False),
        )


@dataclass(frozen=True)
class TrainingTransition:
    """A job enters a secondary status; it ends the one before."""

    status: SecondaryStatus
    message: str
    time: datetime


@dataclass(frozen=True)
class FinalMetric:
    """The last value of a metric that the job logged."""

    name: str
    value: float
    time: datetime


@dataclass(frozen=True)
class TrainingResult:
    """How a job ended; the last transition has been reported before.

    :param status: Completed, Failed, Stopped or MaxRuntimeExceeded (whose job status is Stopped)
    :param training_start_time: when the instances were ready; None if the job ended before
    """

    status: SecondaryStatus
    failure_reason: str | None
    model_artifacts_s3_uri: str | None
    final_metrics: tuple[FinalMetric, ...]
    training_start_time: datetime | None
    training_end_time: datetime
    training_seconds: int


# --- hosting ---------------------------------------------------------------------------------------------------------


class EndpointKey(NamedTuple):
    """Names an endpoint among those of all accounts and regions."""

    account_id: str
    region: str
    name: str


@dataclass(frozen=True)
class CaptureSpec:
    """What is captured of an endpoint's requests.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DataCaptureConfig.html

    :param prefix: of the objects' keys, without a slash at its end
    :param percentage: of the requests that are captured, between 0 and 100
    :param csv_types: content types whose bodies are written as CSV
    :param json_types: content types whose bodies are written as JSON; all others' are written in base64
    :param kms_key_id: the key that encrypts the objects
    :param role_arn: the role that writes them; empty for SageMaker itself
    """

    bucket: str
    prefix: str
    percentage: int
    captures_input: bool = True
    captures_output: bool = True
    csv_types: frozenset[str] = frozenset()
    json_types: frozenset[str] = frozenset()
    kms_key_id: str | None = None
    role_arn: str = ""


@dataclass(frozen=True)
class VariantSpec:
    """One production variant of an endpoint.

    :param weight: share of the traffic relative to the sum of all weights
    :param capture: what is captured of its requests, None for nothing
    :param config_name: its endpoint configuration, which its metrics name too
    :param role_arn: the role that reads the model and writes the log; empty for SageMaker itself
    :param network: whether its containers may use a network
    """

    name: str
    model_name: str
    image: str
    model_data_url: str | None
    instance_count: int
    weight: float = 1.0
    environment: Mapping[str, str] = field(default_factory=dict)
    capture: CaptureSpec | None = None
    config_name: str = ""
    role_arn: str = ""
    network: bool = True


class InvokeResult(NamedTuple):
    """The HTTP answer of InvokeEndpoint, ready to be sent.

    :param error_code: AWS's code of a failed call, such as ModelError
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    error_code: str | None = None
