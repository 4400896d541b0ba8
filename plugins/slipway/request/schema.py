"""The two documents of a request as strict models; the fields are named as in AWS's API and in deployment.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.alias_generators import to_pascal

from slipway import names
from slipway.states import Environment
from slipway.validation import MayBeAbsent, Strict, one_line, wrong


class _Document(Strict):
    """A document whose fields are in CamelCase; Python's snake_case names are refused."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=False)


# Patterns and lengths are those of botocore's model of SageMaker; tests/unit/request/test_schema.py compares them.
Count = Annotated[int, Field(ge=1)]
Line = Annotated[str, AfterValidator(one_line)]
# Without AWS's https: the policy allows prefixes of s3://. Which buckets and keys are allowed is its decision, too.
Uri = Annotated[Line, Field(pattern=r"^s3://[^/]+/?[\s\S]*$", max_length=1024)]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")]
# Tools write an empty text where they mean no key of their own.
KmsKey = Annotated[str, Field(pattern=r"^[a-zA-Z0-9:/_-]*$", max_length=2048)]
_TAG_TEXT = r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$"

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_KEY_MAX_BYTES = 1024
# What SageMaker puts behind the path, below the job's name.
_ARTEFACT = f"/{'n' * names.SAGEMAKER_NAME_MAX_CHARS}/output/model.tar.gz"


# AWS keeps a weight as a 32-bit number, in which the rest of a smaller share would be nothing.
_SMALLEST_WEIGHT = 0.000001
# A whole number of AWS's APIs. https://smithy.io/2.0/spec/simple-types.html#integer
_INTEGER_MAX = 2**31 - 1


def _leaves_room(uri: str) -> str:
    room = _KEY_MAX_BYTES - len(_ARTEFACT)
    if len(uri.partition("://")[2].partition("/")[2].rstrip("/").encode()) > room:
        raise wrong(f"a prefix of at most {room} bytes", "shorten it: the artefact's key begins with it")
    return uri


class ImageName(Strict):
    """One of AWS's images, by algorithm and version instead of by URI."""

    algorithm: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    version: Annotated[str, Field(min_length=1, max_length=64)]


Image = Annotated[
    Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\s{}]+$"), Tag("text")]
    | Annotated[ImageName, Tag("reference")],
    Discriminator(lambda value: "reference" if isinstance(value, Mapping | ImageName) else "text"),
]


class MetricDefinition(_Document):
    """A metric that SageMaker would read from a custom container's log; accepted in zips, and ignored."""

    name: Annotated[Line, Field(min_length=1, max_length=255)]
    regex: Annotated[Line, Field(min_length=1, max_length=500)]


class AlgorithmSpecification(_Document):
    """The algorithm; entry points are left out, because they would run any command in an allowed image."""

    training_image: Image
    training_input_mode: Literal["File", "Pipe", "FastFile"]
    metric_definitions: MayBeAbsent[Annotated[list[MetricDefinition], Field(max_length=40)]] = None
    enable_sage_maker_metrics_time_series: MayBeAbsent[bool] = Field(
        default=None, alias="EnableSageMakerMetricsTimeSeries"
    )


class S3DataSource(_Document):
    """The data of a channel; manifests are left out, because they name objects that the policy cannot check."""

    s3_data_type: Literal["S3Prefix"]
    s3_uri: Uri
    s3_data_distribution_type: MayBeAbsent[Literal["FullyReplicated", "ShardedByS3Key"]] = None


class DataSource(_Document):
    s3_data_source: S3DataSource


class ShuffleConfig(_Document):
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)]


class Channel(_Document):
    channel_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=64)]
    data_source: DataSource
    content_type: MayBeAbsent[Annotated[Line, Field(max_length=256)]] = None
    compression_type: MayBeAbsent[Literal["None", "Gzip"]] = None
    record_wrapper_type: MayBeAbsent[Literal["None", "RecordIO"]] = None
    input_mode: MayBeAbsent[Literal["File", "Pipe", "FastFile"]] = None
    shuffle_config: MayBeAbsent[ShuffleConfig] = None


class OutputDataConfig(_Document):
    """The place of the artefact, which is always compressed, because endpoints load an archive."""

    s3_output_path: Annotated[Uri, AfterValidator(_leaves_room)]
    kms_key_id: MayBeAbsent[KmsKey] = None
    compression_type: MayBeAbsent[Literal["GZIP"]] = None


class ResourceConfig(_Document):
    """The training instances; instance groups and warm pools are left out, as no limit of a model file counts them."""

    instance_type: InstanceType
    instance_count: Count
    volume_size_in_gb: Annotated[int, Field(ge=0)] = Field(alias="VolumeSizeInGB")
    volume_kms_key_id: MayBeAbsent[KmsKey] = None


class StoppingCondition(_Document):
    max_runtime_in_seconds: Count
    max_wait_time_in_seconds: MayBeAbsent[Count] = None


class CheckpointConfig(_Document):
    s3_uri: Uri
    local_path: MayBeAbsent[Annotated[Line, Field(max_length=4096)]] = None


NetworkId = Annotated[str, Field(pattern=r"^[-0-9a-zA-Z]+$", max_length=32)]


class VpcConfig(_Document):
    security_group_ids: Annotated[list[NetworkId], Field(min_length=1, max_length=5)]
    subnets: Annotated[list[NetworkId], Field(min_length=1, max_length=16)]


class RequestTag(_Document):
    key: Annotated[str, Field(min_length=1, max_length=128, pattern=_TAG_TEXT)]
    value: Annotated[str, Field(max_length=256, pattern=_TAG_TEXT)]


def _unique_channels(channels: list[Channel]) -> list[Channel]:
    found = Counter(channel.channel_name for channel in channels)
    if found["train"] != 1:
        raise wrong("exactly one channel named train", "give the training data as the channel train")
    if max(found.values()) > 1:
        raise wrong("a different name for each channel", "rename one of the channels")
    return channels


class TrainingJob(_Document):
    """trainingjob.json: the parameters of CreateTrainingJob that a policy can check.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
    """

    training_job_name: MayBeAbsent[str] = None
    algorithm_specification: AlgorithmSpecification
    role_arn: MayBeAbsent[Annotated[str, Field(min_length=20, max_length=2048)]] = None
    input_data_config: Annotated[list[Channel], Field(min_length=1, max_length=20), AfterValidator(_unique_channels)]
    output_data_config: OutputDataConfig
    resource_config: ResourceConfig
    stopping_condition: StoppingCondition
    hyper_parameters: MayBeAbsent[
        Annotated[
            dict[Annotated[Line, Field(max_length=256)], Annotated[Line, Field(max_length=2500)]], Field(max_length=100)
        ]
    ] = None
    environment: MayBeAbsent[
        Annotated[
            dict[
                Annotated[str, Field(max_length=512, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")],
                Annotated[str, Field(max_length=512)],
            ],
            Field(max_length=100),
        ]
    ] = None
    vpc_config: MayBeAbsent[VpcConfig] = None
    enable_network_isolation: MayBeAbsent[bool] = None
    enable_inter_container_traffic_encryption: MayBeAbsent[bool] = None
    enable_managed_spot_training: MayBeAbsent[bool] = None
    checkpoint_config: MayBeAbsent[CheckpointConfig] = None
    tags: MayBeAbsent[Annotated[list[RequestTag], Field(max_length=50)]] = None

    @model_validator(mode="after")
    def _spot_waits(self) -> Self:
        condition = self.stopping_condition
        wait = condition.max_wait_time_in_seconds
        if self.enable_managed_spot_training:
            if (wait or 0) < condition.max_runtime_in_seconds:
                raise wrong("MaxWaitTimeInSeconds of at least MaxRuntimeInSeconds with managed spot training")
        elif wait is not None:
            raise wrong("MaxWaitTimeInSeconds only together with EnableManagedSpotTraining", "remove it")
        return self


class AutoScaling(_Document):
    """The target-tracking policy of a variant.

    https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
    """

    min_capacity: Count
    max_capacity: Count
    # endpoint.yaml takes them; tests/unit/deployment/test_parameters.py compares the limits.
    target_value: Annotated[float, Field(ge=0.001, le=1_000_000_000)]
    scale_in_cooldown: Annotated[int, Field(ge=0, le=_INTEGER_MAX)]
    scale_out_cooldown: Annotated[int, Field(ge=0, le=_INTEGER_MAX)]
    predefined_metric_type: Literal["SageMakerVariantInvocationsPerInstance"]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_capacity > self.max_capacity:
            raise wrong("a MinCapacity of at most MaxCapacity", "swap the two")
        return self


class EndpointSettings(_Document):
    """One environment of deployment.json."""

    inference_monitoring: bool
    inference_monitoring_sampling: Annotated[int, Field(ge=0, le=100)] | None = None
    inference_monitoring_output_bucket: Annotated[Uri, Field(max_length=512)] | None = None
    ab_tests: bool = Field(alias="ABTests")
    instance_type: InstanceType
    initial_instance_count: Count
    initial_variant_weight: Annotated[float, Field(ge=_SMALLEST_WEIGHT, le=1)] | None = None
    auto_scaling: AutoScaling | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = {}
        if self.inference_monitoring and self.inference_monitoring_sampling is None:
            missing["InferenceMonitoringSampling, 0 to 100, with InferenceMonitoring true"] = "add it"
        if self.inference_monitoring and self.inference_monitoring_output_bucket is None:
            missing["InferenceMonitoringOutputBucket, an S3 URI, with InferenceMonitoring true"] = "add it"
        # Without this rule, a missing weight would give all traffic to the new model.
        if self.ab_tests and not 0 < (self.initial_variant_weight or 0) <= 1 - _SMALLEST_WEIGHT:
            advice = "give the new model's share of the traffic, or set ABTests to false"
            missing["InitialVariantWeight above 0 and below 1 with ABTests true"] = advice
        if missing:
            raise wrong("; and ".join(missing), "; ".join(dict.fromkeys(missing.values())))
        return self


class Deployment(_Document):
    """deployment.json."""

    endpoint_prefix: Annotated[
        str, Field(pattern=rf"^{names.NAME_PATTERN}$", max_length=names.ENDPOINT_PREFIX_MAX_CHARS)
    ]
    development_endpoint: EndpointSettings
    production_endpoint: EndpointSettings

    @model_validator(mode="after")
    def _only_production_scales(self) -> Self:
        if self.development_endpoint.auto_scaling is not None:
            raise wrong(
                "null as DevelopmentEndpoint.AutoScaling, because only production is scaled",
                "remove it, or set it to null",
            )
        return self

    def settings(self, environment: Environment) -> EndpointSettings:
        """Return the part for one environment."""
        return self.development_endpoint if environment is Environment.DEVELOPMENT else self.production_endpoint


def to_parameters(model: Strict) -> dict[str, Any]:
    """Return the fields that have a value, in AWS's spelling."""
    return model.model_dump(by_alias=True, exclude_none=True)
