"""The request in a trainingjob.zip: parsed, fenced by the model's policy, and read again from the run's copy."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from slipway.aws.identity import identity
from slipway.aws.placeholders import AwsIdentity
from slipway.aws.s3 import bucket_and_key
from slipway.errors import NameConflict, RequestRefused, together
from slipway.formats.image_uri import EcrImage
from slipway.model.config import ImageReference, ModelConfig
from slipway.plan import PinnedImage, ReleasePlan
from slipway.request import guardrails, images, own_image, policy
from slipway.request.archive import MAX_BYTES, parse, read_archive, refuse
from slipway.request.schema import Deployment, EndpointSettings, TrainingJob, to_parameters
from slipway.states import Environment
from slipway.validation import describe

# The values of these fields may be credentials, so no message repeats them.
_SECRET_FIELDS = frozenset({"HyperParameters", "Environment"})

_Schema = TypeVar("_Schema", bound=BaseModel)


class RequestReader(Protocol):
    """The part of S3 that is needed to read a request."""

    def read_version(self, bucket: str, key: str, version_id: str | None = None, *, max_bytes: int) -> bytes:
        """Return one version of an object; refuse one that is larger than ``max_bytes``."""


@dataclass(frozen=True)
class ReleaseRequest:
    """What a zip asks for: valid, but not yet checked against the policy.

    :param digest: SHA-256 of the zip, hexadecimal
    :param texts: the content of its two files, by name
    """

    training_job: TrainingJob
    deployment: Deployment
    digest: str
    texts: Mapping[str, bytes]


@dataclass(frozen=True)
class FencedRequest:
    """A request that the model's policy allows, completed by the model file.

    :param model: the model file without placeholders
    :param image: the URI that training and endpoints use; before it is pinned with a tag, or without one for the
        newest build of the model's own image
    :param training_parameters: the parameters of CreateTrainingJob without the release's name and tags
    """

    request: ReleaseRequest
    model: ModelConfig
    image: str
    training_parameters: dict[str, Any]

    @property
    def network_isolation(self) -> bool:
        """Whether training and serving have no network."""
        return bool(self.training_parameters["EnableNetworkIsolation"])

    def endpoint(self, environment: Environment) -> EndpointSettings:
        """Return the part of deployment.json for one environment."""
        return self.request.deployment.settings(environment)

    def create_training_job_parameters(self, plan: ReleasePlan) -> dict[str, Any]:
        """Complete the parameters of CreateTrainingJob.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html

        :param plan: the release
        :returns: a new dict in AWS's spelling
        """
        parameters = copy.deepcopy(self.training_parameters)
        parameters["TrainingJobName"] = plan.training_job_name
        parameters["Tags"] = [
            *parameters.get("Tags", []),
            *({"Key": key, "Value": value} for key, value in plan.tags().items()),
        ]
        return parameters


def parse_zip(data: bytes) -> ReleaseRequest:
    """Read and validate a zip, which may be hostile.

    :param data: the zip
    :raises RequestRefused: with everything that is wrong: the file, the field and what was expected
    """
    archive = read_archive(data)
    refusals = list(archive.refusals)
    training_job = _validated("trainingjob.json", TrainingJob, archive.texts, refusals)
    deployment = _validated("deployment.json", Deployment, archive.texts, refusals)
    if refusals or training_job is None or deployment is None:
        raise together(refusals)
    return ReleaseRequest(training_job, deployment, hashlib.sha256(data).hexdigest(), archive.texts)


def fence(
    request: ReleaseRequest, model: ModelConfig, aws: AwsIdentity, pinned: PinnedImage | None = None
) -> FencedRequest:
    """Check a request against the model's policy, and set what the model file decides.

    :param request: what the zip asks for
    :param model: the model file
    :param aws: account and region, for its placeholders
    :param pinned: the image that the release began with; None before it is known, or where it is none of ECR's
    :raises PolicyViolation: with everything that is not allowed
    """
    model = model.resolved(aws)
    wanted = policy.requested_image(request.training_job, aws.region)
    refusals = [
        *policy.refusals(request.training_job, request.deployment, model, wanted, aws.region),
        *own_image.refusals(wanted, model, aws, pinned.uri if pinned else None),
        *guardrails.refusals(model, request.deployment.production_endpoint),
    ]
    if refusals:
        raise together(refusals)
    image = _chosen_image(request, model, wanted, aws)
    if pinned:
        image = _same_repository(pinned, image)
    return FencedRequest(
        request=request, model=model, image=image, training_parameters=_parameters(request.training_job, model, image)
    )


def load_request(
    s3: RequestReader, plan: ReleasePlan, model: ModelConfig, aws: AwsIdentity | None = None
) -> FencedRequest:
    """Read the run's own copy of the request again.

    :param s3: usually an S3Hook
    :param plan: the release
    :param model: the model file
    :param aws: account and region; looked up if None
    :raises NameConflict: when the copy was changed
    :raises PolicyViolation: when the policy no longer allows it
    """
    bucket, key = bucket_and_key(plan.request_uri)
    data = s3.read_version(bucket, key, max_bytes=MAX_BYTES)
    check_digest(data, plan.digest, plan.request_uri)
    return fence(parse_zip(data), model, aws or identity(model.aws_conn_id), plan.image)


def check_digest(data: bytes, digest: str, uri: str) -> None:
    """Refuse bytes that are not the release's zip.

    :param data: what was read
    :param digest: the SHA-256 that it must have, hexadecimal
    :param uri: where it was read
    """
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise NameConflict(
            "The run's copy of the zip is not the one that this release started with",
            resource=uri,
            why=f"expected SHA-256 {digest}, found {found}",
            fix="find out who wrote it, delete it, and release the upload again",
        )


def _validated(
    member: str, schema: type[_Schema], texts: Mapping[str, bytes], refusals: list[RequestRefused]
) -> _Schema | None:
    """Read one file; None where it is missing or wrong, which is then among the refusals."""
    if member not in texts:
        return None
    try:
        try:
            return schema.model_validate(parse(member, texts[member]))
        except ValidationError as error:
            why = describe(error, schema, _SECRET_FIELDS)
            refuse(member, why, "correct the file, zip it and upload it again", error)
    except RequestRefused as refusal:
        refusals.append(refusal)
    return None


def _same_repository(pinned: PinnedImage, image: str) -> str:
    """Return the pinned image; refuse one of another repository than the request's."""
    found, expected = EcrImage.parse(pinned.uri), EcrImage.parse(image)
    if found is None or found.digest is None or expected is None or found.address != expected.address:
        raise NameConflict(
            "The release began with another image than its zip and its model file name now",
            resource=image,
            why=f"it began with {pinned.uri}",
            fix="undo the change of image or policy.image in the model file, or release the zip again",
        )
    return pinned.uri


def _chosen_image(request: ReleaseRequest, model: ModelConfig, wanted: str, aws: AwsIdentity) -> str:
    if own := own_image.own_image(model, aws):
        return str(own_image.chosen_image(wanted, own))
    override = model.policy.image
    if override is None:
        return wanted
    if isinstance(override, ImageReference):
        instance_type = request.training_job.resource_config.instance_type
        return images.resolve_image(override.algorithm, override.version, aws.region, instance_type)
    return override


def _parameters(training: TrainingJob, model: ModelConfig, image: str) -> dict[str, Any]:
    """Return the zip's parameters with role, metrics, network, keys and isolation of the model file."""
    rules = model.policy
    parameters = to_parameters(training)
    parameters.pop("TrainingJobName", None)
    algorithm = parameters["AlgorithmSpecification"]
    algorithm["TrainingImage"] = image
    # Gates use metrics, so a zip must not define them. AWS's built-in algorithms define their own.
    # https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-metrics-variables.html
    algorithm.pop("MetricDefinitions", None)
    if model.metrics:
        algorithm["MetricDefinitions"] = [{"Name": name, "Regex": regex} for name, regex in model.metrics.items()]
    parameters["RoleArn"] = model.roles.training
    parameters["EnableNetworkIsolation"] = rules.network_isolation or bool(training.enable_network_isolation)
    parameters["EnableInterContainerTrafficEncryption"] = rules.inter_container_encryption or bool(
        training.enable_inter_container_traffic_encryption
    )
    if rules.vpc:
        parameters["VpcConfig"] = {
            "SecurityGroupIds": list(rules.vpc.security_group_ids),
            "Subnets": list(rules.vpc.subnets),
        }
    if rules.kms_key:
        parameters["OutputDataConfig"]["KmsKeyId"] = rules.kms_key
    if rules.volume_kms_key:
        parameters["ResourceConfig"]["VolumeKmsKeyId"] = rules.volume_kms_key
    return parameters
