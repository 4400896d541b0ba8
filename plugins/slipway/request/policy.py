"""Check a zip against the policy of its model, field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

from slipway.errors import PolicyViolation
from slipway.model.config import ImageReference, ModelConfig, Policy
from slipway.model.fields import RESERVED_TAG_PREFIXES
from slipway.model.training import is_of_the_toolkit
from slipway.request import images
from slipway.request.locations import locations
from slipway.request.schema import Deployment, EndpointSettings, ImageName, TrainingJob, VpcConfig
from slipway.states import Environment
from slipway.validation import nearest, shortened, shown, shown_name

# The hyperparameters that tell the training toolkit which code to run, and the folder of a container's channels.
# https://github.com/aws/sagemaker-training-toolkit/blob/master/src/sagemaker_training/params.py
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
_PROGRAM, _DIRECTORY = "sagemaker_program", "sagemaker_submit_directory"
_PROGRAM_FILE = re.compile(r"\w[\w./-]*\.(py|sh)", re.ASCII)
_CHANNELS = "/opt/ml/input/data/"


@dataclass(frozen=True)
class Violation:
    """One field of a zip that the policy does not allow.

    :param rule: the model file's field that does not allow it
    """

    member: str
    field: str
    rule: str
    allowed: str
    found: str
    hint: str

    def __str__(self) -> str:
        return f"{self.member}, field {self.field}: expected {self.allowed}, found {self.found}{self.hint}"


def refusals(
    training: TrainingJob, deployment: Deployment, model: ModelConfig, image: str, region: str
) -> list[PolicyViolation]:
    """Return where a request asks for more than its model's policy allows.

    :param training: trainingjob.json
    :param deployment: deployment.json
    :param model: the model file without placeholders
    :param image: the URI of the image the zip asks for
    :param region: the region of image references
    :returns: one error with every field, what is allowed and what was found; none for a good request
    """
    policy = model.policy
    found = [
        *_violations("trainingjob.json", _identities(training, model, image, region)),
        *_violations("trainingjob.json", _places(training, policy)),
        *_violations("trainingjob.json", _size(training, policy)),
        *_violations("trainingjob.json", _server_side(training, policy)),
        *_violations("trainingjob.json", _code(training, policy)),
        *_violations("deployment.json", _endpoints(deployment, policy)),
    ]
    if not found:
        return []
    return [
        PolicyViolation(
            "The model's policy does not allow this request",
            resource=_where(found, model.prefix),
            why="\n".join(shortened(found)),
            fix="change the zip, or the policy in the model file",
        )
    ]


def _where(found: Sequence[Violation], prefix: str) -> str:
    """Name the fields of the zip, by its files, and those of the model file."""
    places: dict[str, dict[str, None]] = {}
    for one in found:
        places.setdefault(f"{one.member} in trainingjob.zip", {})[one.field] = None
    places[f"model file of {prefix}"] = dict.fromkeys(one.rule for one in found)
    return "; ".join(f"{place}: {', '.join(shortened([*fields]))}" for place, fields in places.items())


class _OneOf(str):
    """The text of a choice, which remembers its values for a hint."""

    values: tuple[str, ...]

    def __new__(cls, values: Iterable[str]) -> Self:
        values = tuple(values)
        listed = ", ".join(values)
        text = super().__new__(cls, f"one of {listed}" if listed else "none: the policy allows no value")
        text.values = values
        return text


_Finding = tuple[str, str, str, object]  # field, the model file's field, what is allowed, what was found


def _violations(member: str, findings: Iterable[_Finding]) -> Iterator[Violation]:
    for field, rule, allowed, value in findings:
        near = nearest(str(value), allowed.values) if isinstance(allowed, _OneOf) else None
        yield Violation(
            member, field, f"policy.{rule}", allowed, shown(value), f" (did you mean {near}?)" if near else ""
        )


def requested_image(training: TrainingJob, region: str) -> str:
    """Return the URI of the image that a zip asks for.

    :param training: trainingjob.json
    :param region: the region of an image reference
    """
    wanted = training.algorithm_specification.training_image
    if isinstance(wanted, ImageName):
        return images.resolve_image(wanted.algorithm, wanted.version, region, training.resource_config.instance_type)
    return wanted


def _identities(training: TrainingJob, model: ModelConfig, image: str, region: str) -> Iterator[_Finding]:
    policy = model.policy
    if training.role_arn is not None and training.role_arn not in policy.roles:
        yield "RoleArn", "roles", _OneOf(policy.roles), training.role_arn
    instance_type = training.resource_config.instance_type
    # Without this list own_image.py alone decides.
    if (policy.images or model.image is None) and not _image_allowed(image, policy, region, instance_type):
        allowed = _OneOf(
            [entry if isinstance(entry, str) else _reference_text(entry) for entry in policy.images],
        )
        yield "AlgorithmSpecification.TrainingImage", "images", allowed, image


def _image_allowed(image: str, policy: Policy, region: str, instance_type: str) -> bool:
    # Patterns first: the SageMaker SDK is needed only if none matches.
    if any(isinstance(entry, str) and fnmatchcase(image, entry) for entry in policy.images):
        return True
    references = [entry for entry in policy.images if isinstance(entry, ImageReference)]
    if not references or not images.known():
        return False
    # The repository may be followed by a digest instead of a tag.
    repository = re.split(r"[@:]", image)[0]
    for entry in references:
        if entry.version is None:
            if repository in images.repositories(entry.algorithm, region, instance_type):
                return True
        elif image == images.resolve_image(entry.algorithm, entry.version, region, instance_type):
            return True
    return False


def _places(training: TrainingJob, policy: Policy) -> Iterator[_Finding]:
    allowed = f"a place below {' or '.join(policy.s3_prefixes)}"
    for index, channel in enumerate(training.input_data_config):
        uri = channel.data_source.s3_data_source.s3_uri
        # S3Uri is a prefix of keys: without the slash at the end, it would match neighbouring prefixes too.
        # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
        if not _below(uri, policy.s3_prefixes, or_at=False):
            yield f"InputDataConfig[{index}].DataSource.S3DataSource.S3Uri", "s3_prefixes", allowed, uri
    if not _below(training.output_data_config.s3_output_path, policy.s3_prefixes):
        yield "OutputDataConfig.S3OutputPath", "s3_prefixes", allowed, training.output_data_config.s3_output_path
    if training.checkpoint_config and not _below(training.checkpoint_config.s3_uri, policy.s3_prefixes):
        yield "CheckpointConfig.S3Uri", "s3_prefixes", allowed, training.checkpoint_config.s3_uri
    for field, values in (("HyperParameters", training.hyper_parameters), ("Environment", training.environment)):
        for name, value in (values or {}).items():
            for place in locations(value):
                if place.uri is not None and not _below(place.uri, policy.s3_prefixes):
                    yield f"{field}.{shown_name(name)}", "s3_prefixes", allowed, "another place in S3"
                elif place.uri is None and not _url_allowed(place.text, policy.training.urls):
                    urls = f" or a URL below {' or '.join(policy.training.urls)}" if policy.training.urls else ""
                    yield f"{field}.{shown_name(name)}", "training.urls", f"{allowed}{urls}", "another URL"


def _url_allowed(url: str, beginnings: Iterable[str]) -> bool:
    return ".." not in url.split("/") and any(url.startswith(beginning) for beginning in beginnings)


def _below(uri: str, prefixes: Iterable[str], *, or_at: bool = True) -> bool:
    path = uri.removeprefix("s3://").rstrip("/").split("/")
    if any(part in ("", ".", "..") for part in path):
        return False
    place = uri.rstrip("/") + "/" if or_at else uri
    return any(place.startswith(prefix.rstrip("/") + "/") for prefix in prefixes)


def _size(training: TrainingJob, policy: Policy) -> Iterator[_Finding]:
    resources, ceiling = training.resource_config, policy.training
    condition = training.stopping_condition
    seconds = max(condition.max_runtime_in_seconds, condition.max_wait_time_in_seconds or 0)
    longest = "MaxWaitTimeInSeconds" if condition.max_wait_time_in_seconds else "MaxRuntimeInSeconds"
    if resources.instance_type not in policy.instance_types:
        yield "ResourceConfig.InstanceType", "instance_types", _OneOf(policy.instance_types), resources.instance_type
    if resources.instance_count > ceiling.max_instance_count:
        allowed = f"at most {ceiling.max_instance_count}"
        yield "ResourceConfig.InstanceCount", "training.max_instance_count", allowed, resources.instance_count
    if resources.volume_size_in_gb > ceiling.max_volume_gb:
        allowed = f"at most {ceiling.max_volume_gb}"
        yield "ResourceConfig.VolumeSizeInGB", "training.max_volume_gb", allowed, resources.volume_size_in_gb
    if seconds > ceiling.max_runtime_seconds:
        allowed = f"at most {ceiling.max_runtime_seconds}"
        yield f"StoppingCondition.{longest}", "training.max_runtime_seconds", allowed, seconds
    total = resources.instance_count * seconds
    if ceiling.max_instance_seconds is not None and total > ceiling.max_instance_seconds:
        allowed = f"at most {ceiling.max_instance_seconds} instance seconds"
        yield f"InstanceCount x {longest}", "training.max_instance_seconds", allowed, total


def _server_side(training: TrainingJob, policy: Policy) -> Iterator[_Finding]:
    """Check what the model file sets: a zip may repeat it, but not change it."""
    if training.enable_network_isolation is False and policy.network_isolation:
        yield "EnableNetworkIsolation", "network_isolation", "true, or no such field", False
    if training.enable_inter_container_traffic_encryption is False and policy.inter_container_encryption:
        field = "EnableInterContainerTrafficEncryption"
        yield field, "inter_container_encryption", "true, or no such field", False
    if training.vpc_config and not _same_vpc(training.vpc_config, policy):
        yield "VpcConfig", "vpc", "no such field, or the policy's own network", "another network"
    output, resources = training.output_data_config, training.resource_config
    for field, rule, key, own in (
        ("OutputDataConfig.KmsKeyId", "kms_key", output.kms_key_id, policy.kms_key),
        ("ResourceConfig.VolumeKmsKeyId", "volume_kms_key", resources.volume_kms_key_id, policy.volume_kms_key),
    ):
        if key and key != own:
            yield field, rule, "no such field, or the policy's own key", key
    for name in training.environment or {}:
        if name not in policy.training.environment:
            yield f"Environment.{shown_name(name)}", "training.environment", _OneOf(policy.training.environment), name
    for index, tag in enumerate(training.tags or []):
        if tag.key.lower().startswith(RESERVED_TAG_PREFIXES):
            allowed = f"no tag that begins with {' or '.join(RESERVED_TAG_PREFIXES)}"
            yield f"Tags[{index}].Key", "tags", allowed, tag.key
        elif tag.key not in policy.tags:
            yield f"Tags[{index}].Key", "tags", _OneOf(policy.tags), tag.key


def _code(training: TrainingJob, policy: Policy) -> Iterator[_Finding]:
    """Check the hyperparameters by which SageMaker's training toolkit runs an uploader's code."""
    given = training.hyper_parameters or {}
    mode = policy.script_mode
    if mode is None:
        for name in filter(is_of_the_toolkit, given):
            allowed = "no such name: policy.script_mode does not allow code"
            yield f"HyperParameters.{shown_name(name)}", "script_mode", allowed, "code"
        return
    if not any(map(is_of_the_toolkit, given)):
        return
    program, directory = (_text(given.get(name, "")) for name in (_PROGRAM, _DIRECTORY))
    if not _PROGRAM_FILE.fullmatch(program) or ".." in program:
        allowed = "a file in the submitted code, such as train.py"
        yield f"HyperParameters.{_PROGRAM}", "script_mode", allowed, "another place, or none"
    if directory.startswith("s3://"):
        isolated = policy.network_isolation or bool(training.enable_network_isolation)
        if isolated:
            allowed = f"{_CHANNELS}CHANNEL/FILE: without a network the container downloads nothing"
            yield f"HyperParameters.{_DIRECTORY}", "network_isolation", allowed, "an S3 URI"
        place = directory
    else:
        place = _channel_uri(training, directory)
    # A prefix without its slash is not enough: as a channel it would include neighbouring prefixes.
    if not _below(place, mode.s3_prefixes, or_at=False):
        allowed = f"code below {' or '.join(mode.s3_prefixes)}, itself or as a channel"
        yield f"HyperParameters.{_DIRECTORY}", "script_mode.s3_prefixes", allowed, "code elsewhere, or none"


def _channel_uri(training: TrainingJob, path: str) -> str:
    """Return the S3 URI of the channel that a container has at a path; empty if it has none there."""
    parts = path.removeprefix(_CHANNELS).split("/")
    if not path.startswith(_CHANNELS) or ".." in parts:
        return ""
    channels = {one.channel_name: one.data_source.s3_data_source.s3_uri for one in training.input_data_config}
    return channels.get(parts[0], "")


def _text(value: str) -> str:
    """Return a hyperparameter as the toolkit reads it: parsed if it is JSON, else unchanged."""
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return read if isinstance(read, str) else value


def _same_vpc(wanted: VpcConfig, policy: Policy) -> bool:
    own = policy.vpc
    return own is not None and (
        set(wanted.security_group_ids) == set(own.security_group_ids) and set(wanted.subnets) == set(own.subnets)
    )


def _endpoints(deployment: Deployment, policy: Policy) -> Iterator[_Finding]:
    if deployment.endpoint_prefix != policy.endpoint.endpoint_prefix:
        yield "EndpointPrefix", "endpoint.endpoint_prefix", policy.endpoint.endpoint_prefix, deployment.endpoint_prefix
    for environment in Environment:
        part = f"{environment.value.capitalize()}Endpoint"
        for field, rule, allowed, value in _endpoint(deployment.settings(environment), policy):
            yield f"{part}.{field}", rule, allowed, value


def _endpoint(settings: EndpointSettings, policy: Policy) -> Iterator[_Finding]:
    ceiling = policy.endpoint.max_instance_count
    if settings.instance_type not in policy.instance_types:
        yield "InstanceType", "instance_types", _OneOf(policy.instance_types), settings.instance_type
    if settings.initial_instance_count > ceiling:
        yield (
            "InitialInstanceCount",
            "endpoint.max_instance_count",
            f"at most {ceiling}",
            settings.initial_instance_count,
        )
    if settings.auto_scaling and settings.auto_scaling.max_capacity > ceiling:
        most = settings.auto_scaling.max_capacity
        yield "AutoScaling.MaxCapacity", "endpoint.max_instance_count", f"at most {ceiling}", most
    place = settings.inference_monitoring_output_bucket
    if place is not None and not _below(place, policy.s3_prefixes):
        allowed = f"a place below {' or '.join(policy.s3_prefixes)}"
        yield "InferenceMonitoringOutputBucket", "s3_prefixes", allowed, place


def _reference_text(reference: ImageReference) -> str:
    name = f"AWS's {reference.algorithm} {reference.version or '(any version)'}"
    return name if images.known() else f"{name} (looked up only with airflow-slipway[sdk])"
