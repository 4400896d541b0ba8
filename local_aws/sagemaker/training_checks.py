"""What CreateTrainingJob refuses.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
"""

from pathlib import Path
from typing import Any

from local_aws.compute.base import DEFAULT_CHECKPOINTS
from local_aws.compute.checkpoints import folder_of
from local_aws.framework.api import RequestContext
from local_aws.sagemaker.images import ImageCheck
from local_aws.sagemaker.objects import ObjectCheck
from local_aws.sagemaker.resources import invalid
from local_aws.sagemaker.tags import check

_NOT_OFFERED = (
    "DebugRuleConfigurations",
    "MlflowConfig",
    "ModelPackageConfig",
    "ProfilerRuleConfigurations",
    "ServerlessJobConfig",
    "TensorBoardOutputConfig",
)
# Where tensors would go. The SDK sends it with every job, and nothing asks for tensors without a collection or a rule:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DebugHookConfig.html
_DEBUG_HOOK = frozenset({"S3OutputPath", "LocalPath"})
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html: one day
DEFAULT_MAX_RUNTIME_SECONDS = 86400
# The same page: "The maximum value is 28 days."
_MAX_RUNTIME_SECONDS = 28 * 86400


class TrainingJobChecks:
    """Checks the requests for training jobs.

    :param objects: checks objects in S3
    :param images: checks images
    """

    def __init__(self, objects: ObjectCheck, images: ImageCheck) -> None:
        self._objects = objects
        self._images = images

    def require(self, context: RequestContext, parameters: dict[str, Any]) -> None:
        """Check a CreateTrainingJob.

        :param context: who asks
        :param parameters: the request, which its model allows
        :raises ServiceError: it contradicts itself, asks for what is not offered, or names what is not there
        """
        check(parameters.get("Tags", []), context)
        for member in _NOT_OFFERED:
            if member in parameters:
                raise invalid(f"The local AWS offers no {member}.")
        for member, value in parameters.get("DebugHookConfig", {}).items():
            # The SDK sends an empty list of collections.
            if value and member not in _DEBUG_HOOK:
                raise invalid(f"The local AWS saves no tensors: it offers no {member} of DebugHookConfig.")
        algorithm = parameters.get("AlgorithmSpecification", {})
        if "TrainingImage" in algorithm and "AlgorithmName" in algorithm:
            raise invalid("Cannot specify both AlgorithmName and TrainingImage in AlgorithmSpecification.")
        if "TrainingImage" not in algorithm:
            raise invalid("You must provide a TrainingImage. The local AWS offers no algorithm resources.")
        _check_mode("TrainingInputMode", algorithm.get("TrainingInputMode"))
        resources = parameters.get("ResourceConfig", {})
        for member in ("InstanceType", "InstanceCount"):
            if member not in resources:
                raise invalid(f"{member} must be specified in ResourceConfig.")
        if resources["InstanceCount"] != 1:
            raise invalid("The local AWS trains on one instance: InstanceCount must be 1.")
        _check_times(parameters)
        checkpoints = parameters.get("CheckpointConfig", {})
        if folder_of(checkpoints.get("LocalPath") or DEFAULT_CHECKPOINTS, Path()) is None:
            raise invalid(
                f"The local AWS keeps checkpoints below /opt/ml: LocalPath {checkpoints['LocalPath']} is elsewhere."
            )
        channels = [channel["ChannelName"] for channel in parameters.get("InputDataConfig", [])]
        if len(channels) != len(set(channels)):
            raise invalid("Duplicate channel names in InputDataConfig: each ChannelName must be unique.")
        self._images.require_pull(context, algorithm["TrainingImage"], parameters["RoleArn"])
        self._images.require_training_image(context, algorithm["TrainingImage"], parameters["RoleArn"])
        for channel in parameters.get("InputDataConfig", []):
            self._check_channel(context, channel, parameters["RoleArn"])

    def _check_channel(self, context: RequestContext, channel: dict[str, Any], role_arn: str) -> None:
        name, source = channel["ChannelName"], channel["DataSource"].get("S3DataSource")
        if source is None:
            raise invalid(f"Channel {name}: the local AWS offers S3DataSource only.")
        _check_mode(f"Channel {name}: InputMode", channel.get("InputMode"))
        # "CompressionType is used only in Pipe input mode."
        # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Channel.html
        if channel.get("CompressionType", "None") != "None":
            raise invalid(
                f"Channel {name}: CompressionType Gzip is for Pipe mode, which the local AWS does not offer. "
                "Decompress the data, and leave CompressionType out."
            )
        self._objects.require_prefix(context, source["S3Uri"], role_arn)


def _check_mode(member: str, mode: str | None) -> None:
    """Refuse Pipe mode; the two others are the same to an algorithm that reads files.

    :raises ServiceError: naming the member
    """
    if mode == "Pipe":
        raise invalid(f"{member}: the local AWS offers File and FastFile, and copies the data in both.")


def _check_times(parameters: dict[str, Any]) -> None:
    """Check the limits of a job's time.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html

    :raises ServiceError: they contradict each other, or are longer than 28 days
    """
    condition = parameters.get("StoppingCondition", {})
    runtime = condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS)
    wait = condition.get("MaxWaitTimeInSeconds")
    if runtime > _MAX_RUNTIME_SECONDS:
        raise invalid(f"MaxRuntimeInSeconds must be less than or equal to {_MAX_RUNTIME_SECONDS} (28 days).")
    if parameters.get("EnableManagedSpotTraining") and (wait is None or wait < runtime):
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )
    if wait is not None and not parameters.get("EnableManagedSpotTraining"):
        raise invalid("MaxWaitTimeInSeconds can be set only when EnableManagedSpotTraining is true.")
