"""What an endpoint serves or is going to serve: its variants with all that is needed to start them.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from local_aws.compute.base import CaptureSpec, VariantSpec
from local_aws.compute.s3 import split_url
from local_aws.framework.store import Document
from local_aws.sagemaker.resources import EXECUTION_ROLE, NETWORK_ISOLATION, now

# Data capture in an endpoint's document: as DescribeEndpoint shows it, and the whole configuration.
CAPTURE_MEMBERS = ("DataCaptureConfig", "CaptureConfig")


# In a variant's container, and of DescribeEndpoint:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeployedImage.html
_RESOLVED = "ResolvedImage"


@dataclass(frozen=True)
class PlannedVariant:
    """One variant as it is to be deployed.

    :param container: the model's container definition, so that the variant can be started again without its model
    """

    name: str
    model_name: str
    container: Mapping[str, Any]
    instance_count: int
    weight: float

    def spec(self, config_name: str, capture: CaptureSpec | None) -> VariantSpec:
        """Return the variant's specification for the compute.

        :param config_name: the endpoint configuration's
        :param capture: what is captured of the variant's requests
        """
        role = self.container.get(EXECUTION_ROLE, "")
        return VariantSpec(
            name=self.name,
            model_name=self.model_name,
            image=self.container.get(_RESOLVED, self.container["Image"]),
            model_data_url=self.container.get("ModelDataUrl"),
            instance_count=self.instance_count,
            weight=self.weight,
            environment=dict(self.container.get("Environment", {})),
            capture=replace(capture, role_arn=role) if capture else None,
            config_name=config_name,
            role_arn=role,
            network=not self.container.get(NETWORK_ISOLATION, False),
        )

    def pinned(self, resolve: Callable[[VariantSpec], str]) -> "PlannedVariant":
        """Return the variant with the digest of its image.

        :param resolve: returns the image's URI with its digest
        """
        return replace(self, container={**self.container, _RESOLVED: resolve(self.spec("", None))})

    def summary(self) -> dict[str, Any]:
        """Return the variant as a ProductionVariantSummary of DescribeEndpoint."""
        specified = self.container["Image"]
        image = {"SpecifiedImage": specified, "ResolvedImage": self.container.get(_RESOLVED, specified)}
        return {
            "VariantName": self.name,
            "DeployedImages": [image | {"ResolutionTime": now()}],
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
            "CurrentInstanceCount": self.instance_count,
            "DesiredInstanceCount": self.instance_count,
        }


@dataclass(frozen=True)
class Plan:
    """What an endpoint is going to serve.

    :param settings: members of the endpoint's document that come with the configuration
    """

    config_name: str
    variants: tuple[PlannedVariant, ...]
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, config: Document, containers: Mapping[str, Mapping[str, Any]]) -> "Plan":
        """Make the plan of an endpoint configuration.

        :param config: the endpoint configuration
        :param containers: container definition by model name
        :returns: the plan
        """
        variants = tuple(
            PlannedVariant(
                name=variant["VariantName"],
                model_name=variant["ModelName"],
                container=containers[variant["ModelName"]],
                instance_count=variant["InitialInstanceCount"],
                weight=variant["InitialVariantWeight"],
            )
            for variant in config["ProductionVariants"]
        )
        capture = config.get("DataCaptureConfig")
        settings = {"DataCaptureConfig": _capture_summary(capture), "CaptureConfig": capture}
        return cls(config["EndpointConfigName"], variants, settings)

    @classmethod
    def live(cls, endpoint: Document) -> "Plan":
        """Make the plan of what an endpoint serves already.

        :param endpoint: its document
        :returns: the plan
        """
        # During a deployment, the state before it.
        live = endpoint.get("VariantsBefore") or endpoint["ProductionVariants"]
        variants = tuple(
            PlannedVariant(
                name=variant["VariantName"],
                model_name=endpoint["LiveVariants"][variant["VariantName"]]["ModelName"],
                container=endpoint["LiveVariants"][variant["VariantName"]]["Container"],
                instance_count=variant["CurrentInstanceCount"],
                weight=variant["CurrentWeight"],
            )
            for variant in live
        )
        settings = {member: endpoint.get(member) for member in CAPTURE_MEMBERS}
        return cls(endpoint["EndpointConfigName"], variants, settings)

    def pinned(self, resolve: Callable[[VariantSpec], str]) -> "Plan":
        """Return the plan with the digests of its images, so that a tag that moves changes no endpoint.

        :param resolve: returns the image's URI with its digest
        """
        return replace(self, variants=tuple(variant.pinned(resolve) for variant in self.variants))

    @property
    def role_arn(self) -> str:
        """The role that the first variant's model has; empty without one."""
        return str(self.variants[0].container.get(EXECUTION_ROLE, ""))

    def specs(self) -> list[VariantSpec]:
        """Return the variants' specifications for the compute."""
        capture = _capture_spec(self.settings.get("CaptureConfig"))
        return [variant.spec(self.config_name, capture) for variant in self.variants]

    def pending(self) -> dict[str, Any]:
        """Return the plan as a PendingDeploymentSummary of DescribeEndpoint."""
        started = now()
        variants = []
        for variant in self.variants:
            status = [{"Status": "Creating", "StartTime": started}]
            variants.append(variant.summary() | {"CurrentInstanceCount": 0, "VariantStatus": status})
        return {"EndpointConfigName": self.config_name, "ProductionVariants": variants, "StartTime": started}


def _capture_summary(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DataCaptureConfigSummary.html or None."""
    if config is None:
        return None
    enabled = config.get("EnableCapture", True)
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }


def _capture_spec(config: Mapping[str, Any] | None) -> CaptureSpec | None:
    """Read https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DataCaptureConfig.html for the compute."""
    if config is None or not config.get("EnableCapture", True):
        return None
    bucket, prefix = split_url(config["DestinationS3Uri"])
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    types = config.get("CaptureContentTypeHeader", {})
    return CaptureSpec(
        bucket=bucket,
        prefix=prefix.rstrip("/"),
        percentage=config["InitialSamplingPercentage"],
        captures_input=bool(modes & {"Input", "InputAndOutput"}),
        captures_output=bool(modes & {"Output", "InputAndOutput"}),
        csv_types=frozenset(types.get("CsvContentTypes", [])),
        json_types=frozenset(types.get("JsonContentTypes", [])),
        kms_key_id=config.get("KmsKeyId") or None,
    )
