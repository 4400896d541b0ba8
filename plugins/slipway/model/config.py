"""A model file, include/models/*.yaml: one strict description of a model's pipeline. Reference: docs/model-file.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from slipway import image_names, names
from slipway.aws.placeholders import AwsIdentity
from slipway.model.approval_settings import ApprovalSettings, NewsSettings
from slipway.model.data import DataAsset
from slipway.model.fields import (
    InstanceType,
    Name,
    RoleArn,
    S3Uri,
    Seconds,
    Share,
    TagKey,
    Text,
    UrlBeginning,
    no_repetition,
    s3_key,
)
from slipway.model.image import OwnImage
from slipway.model.serving import MAX_SCHEDULES, Alarms, Champion, GoldenSet, Guardrails, ScheduledAction, check_alarms
from slipway.model.stress import Stress
from slipway.model.training import EnvironmentName, Metrics, ScriptMode
from slipway.model.trial import Trial
from slipway.states import ExecutionMode
from slipway.validation import Strict, wrong

# Slipway's own folders in the bucket. A model's roles write below its prefix, so it must not be one of these.
_FOLDERS = frozenset({"releases", "stress", "templates"})
RESERVED_PREFIXES = names.DAG_IDS | _FOLDERS


class ImageReference(Strict):
    """A container image of AWS, by the SageMaker SDK's name."""

    algorithm: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    version: Annotated[str, Field(min_length=1)] | None = None


class PinnedImageReference(ImageReference):
    """An image reference that means exactly one image."""

    version: Annotated[str, Field(min_length=1)]


def _image_kind(value: Any) -> str:
    return "reference" if isinstance(value, Mapping | ImageReference) else "text"


AllowedImage = Annotated[
    Annotated[Text, Tag("text")] | Annotated[ImageReference, Tag("reference")], Discriminator(_image_kind)
]
Image = Annotated[
    Annotated[Text, Tag("text")] | Annotated[PinnedImageReference, Tag("reference")], Discriminator(_image_kind)
]


class SourceSettings(Strict):
    """Where the model's zip is uploaded."""

    bucket: Annotated[Text, Field(pattern=r"^[a-z0-9{][a-z0-9.{}-]+$")] = names.ACCOUNT_BUCKET
    key: Annotated[str, Field(min_length=1), AfterValidator(s3_key)]
    queue: Annotated[Text, Field(pattern=r"^(https?://\S+|[A-Za-z0-9_{}-]+)$")] | None = None


def _role(name: str) -> str:
    return f"arn:aws:iam::{{account}}:role/{name}"


class Roles(Strict):
    """The roles that do the work; a zip never chooses them. The defaults are those that command/cfn/ makes."""

    training: RoleArn
    endpoint: RoleArn
    cloudformation: RoleArn = _role("slipway-cloudformation")


class Vpc(Strict):
    """The network of training jobs and models. https://docs.aws.amazon.com/sagemaker/latest/dg/train-vpc.html"""

    security_group_ids: Annotated[list[Text], Field(min_length=1, max_length=5)]
    subnets: Annotated[list[Text], Field(min_length=1, max_length=16)]


class TrainingPolicy(Strict):
    """The limits of one training job."""

    max_instance_count: Annotated[int, Field(ge=1)] = 1
    max_runtime_seconds: Seconds
    max_instance_seconds: Seconds | None = None
    max_volume_gb: Annotated[int, Field(ge=1)] = 100
    environment: Annotated[list[EnvironmentName], AfterValidator(no_repetition)] = []
    urls: Annotated[list[UrlBeginning], AfterValidator(no_repetition)] = []


class EndpointPolicy(Strict):
    """The limits of one endpoint, and its name."""

    endpoint_prefix: Annotated[Name, Field(max_length=names.ENDPOINT_PREFIX_MAX_CHARS)]
    # endpoint.yaml's limit, as for scheduled actions.
    max_instance_count: Annotated[int, Field(ge=1, le=100)] = 1


class Policy(Strict):
    """What a zip may ask for; everything else is refused."""

    roles: Annotated[list[RoleArn], AfterValidator(no_repetition)] = []
    images: list[AllowedImage]
    image: Image | None = None
    s3_prefixes: Annotated[list[S3Uri], Field(min_length=1), AfterValidator(no_repetition)]
    instance_types: Annotated[list[InstanceType], Field(min_length=1), AfterValidator(no_repetition)]
    training: TrainingPolicy
    endpoint: EndpointPolicy
    tags: Annotated[list[TagKey], AfterValidator(no_repetition)] = []
    script_mode: ScriptMode | None = None
    network_isolation: bool = True
    inter_container_encryption: bool = False
    vpc: Vpc | None = None
    kms_key: Text | None = None
    volume_kms_key: Text | None = None


class MetricGate(Strict):
    """A bound on one of the training job's final metrics."""

    metric: Annotated[str, Field(min_length=1, max_length=255)]
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.minimum is None and self.maximum is None:
            raise wrong("minimum, maximum or both", "add the bound the metric must keep")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise wrong("a minimum that is not above the maximum", "swap the two")
        return self


class EndpointTest(Strict):
    """How an endpoint is tested after its deployment."""

    data: S3Uri
    accuracy_minimum: Share | None = None
    rmse_maximum: Annotated[float, Field(ge=0)] | None = None
    max_rows: Annotated[int, Field(ge=1, le=10_000)] = 200
    latency_p99_maximum_ms: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _gated(self) -> Self:
        if (self.accuracy_minimum is None) == (self.rmse_maximum is None):
            raise wrong(
                "either accuracy_minimum or rmse_maximum",
                "give accuracy_minimum to a classifier, rmse_maximum to a regression",
            )
        return self


class RollBack(Strict):
    """What is kept so that production can be rolled back."""

    keep_releases: Annotated[int, Field(ge=1, le=100)] = 5


class Timeouts(Strict):
    """How long the waits last."""

    training_margin_seconds: Seconds = 1800
    stack_seconds: Seconds = 3600
    poll_seconds: Annotated[float, Field(ge=0.5, le=600)] = 10


class ModelConfig(Strict):
    """One model's pipeline."""

    prefix: Annotated[Name, Field(max_length=names.PREFIX_MAX_CHARS)]
    description: str = ""
    aws_conn_id: Annotated[str, Field(min_length=1)] = "aws_default"
    execution_mode: Annotated[ExecutionMode, Field(strict=False)] = ExecutionMode.SUPERSEDED
    source: SourceSettings
    assets: Annotated[list[DataAsset], Field(max_length=10)] = []
    roles: Roles
    image: OwnImage | None = None
    policy: Policy
    metrics: Metrics = {}
    gates: list[MetricGate] = []
    test: EndpointTest
    champion: Champion | None = None
    golden: GoldenSet | None = None
    approval: ApprovalSettings
    news: NewsSettings = NewsSettings()
    alarms: Alarms | None = None
    deployment: Guardrails | None = None
    scaling_schedule: Annotated[list[ScheduledAction], Field(max_length=MAX_SCHEDULES)] = []
    trial: Trial | None = None
    stress: Stress = Stress()
    roll_back: RollBack = RollBack()
    timeouts: Timeouts = Timeouts()

    @model_validator(mode="before")
    @classmethod
    def _defaults_from_prefix(cls, data: Any) -> Any:
        """Fill in what follows from the prefix, so that a file only says what differs."""
        prefix = data.get("prefix") if isinstance(data, Mapping) else None
        if not isinstance(prefix, str):
            return data
        filled = {"source": {}, "roles": {}, **data}
        if isinstance(filled["source"], Mapping):
            filled["source"] = {"key": names.source_key(prefix), **filled["source"]}
        if isinstance(filled["roles"], Mapping):
            training, endpoint = names.training_role(prefix), names.endpoint_role(prefix)
            filled["roles"] = {"training": _role(training), "endpoint": _role(endpoint), **filled["roles"]}
        image = filled.get("image")
        if isinstance(image, Mapping):
            filled["image"] = {"repository": names.image_repository(prefix), **image}
        policy = filled.get("policy")
        if isinstance(policy, Mapping):
            endpoint = policy.get("endpoint", {})
            if isinstance(endpoint, Mapping):
                policy = {**policy, "endpoint": {"endpoint_prefix": prefix, **endpoint}}
            filled["policy"] = {"images": [], **policy} if image is not None else policy
        return filled

    @model_validator(mode="after")
    def _name_is_free(self) -> Self:
        if self.prefix.lower() in RESERVED_PREFIXES:
            raise wrong(f"a prefix other than {', '.join(sorted(RESERVED_PREFIXES))}", "choose another prefix")
        return self

    @model_validator(mode="after")
    def _has_an_image(self) -> Self:
        if self.image is None and not self.policy.images:
            raise wrong("at least one image in policy.images", "name the image, or give the model its own in image")
        if self.image is not None and self.policy.image is not None:
            raise wrong("either image or policy.image", "remove policy.image: image decides what is used")
        return self

    @model_validator(mode="after")
    def _guardrails_can_work(self) -> Self:
        check_alarms(self.alarms, self.deployment, self.news_topic, self.timeouts.stack_seconds)
        return self

    @model_validator(mode="after")
    def _schedule_is_allowed(self) -> Self:
        no_repetition([action.name for action in self.scaling_schedule])
        ceiling = self.policy.endpoint.max_instance_count
        if any(action.max_capacity > ceiling for action in self.scaling_schedule):
            raise wrong(
                f"a max_capacity of at most policy.endpoint.max_instance_count, {ceiling}, in scaling_schedule",
                "lower the one or raise the other",
            )
        return self

    @property
    def inlets(self) -> list[DataAsset]:
        """The assets whose updates release the newest zip: training data and, where wanted, new images."""
        if self.image is None or not self.image.release_new:
            return self.assets
        record = f"s3://{self.source.bucket}/{names.newest_image_key(self.prefix)}"
        return [*self.assets, DataAsset(asset=image_names.asset(self.prefix), data=record)]

    @property
    def news_topic(self) -> str | None:
        """The topic for news: how releases end, and alarms that name no topic of their own."""
        return self.news.topic or self.approval.topic

    def resolved(self, identity: AwsIdentity) -> ModelConfig:
        """Replace the placeholders by account and region.

        :param identity: the account and region of ``aws_conn_id``
        :returns: the same model without placeholders
        """
        return ModelConfig.model_validate(_resolve(self.model_dump(), identity))


def _resolve(value: Any, identity: AwsIdentity) -> Any:
    if isinstance(value, str):
        return identity.resolve(value)
    if isinstance(value, Mapping):
        return {key: _resolve(item, identity) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, identity) for item in value]
    return value
