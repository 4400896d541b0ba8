"""How an endpoint's document changes: pure functions, run while the document is locked.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from local_aws.compute.base import VariantSpec
from local_aws.sagemaker.resources import invalid, now
from local_aws.store import Document

DEPLOYMENT_FAILED = "Request to service failed. If failure persists after retry, contact customer support."


@dataclass(frozen=True)
class PlannedVariant:
    """One variant as it is to be deployed.

    :param container: the model's container definition; kept, so that the variant can be started again without its model
    """

    name: str
    model_name: str
    container: Mapping[str, Any]
    instance_count: int
    weight: float

    def spec(self) -> VariantSpec:
        """Say it to the compute.

        :returns: the variant's specification
        """
        return VariantSpec(
            name=self.name,
            model_name=self.model_name,
            image=self.container["Image"],
            model_data_url=self.container.get("ModelDataUrl"),
            instance_count=self.instance_count,
            weight=self.weight,
            environment=dict(self.container.get("Environment", {})),
        )

    def summary(self) -> dict[str, Any]:
        """Say it as DescribeEndpoint does.

        :returns: a ProductionVariantSummary
        """
        image = {"SpecifiedImage": self.container["Image"], "ResolvedImage": self.container["Image"]}
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
    """What an endpoint is to become.

    :param settings: members of the endpoint's document that come with the configuration
    """

    config_name: str
    variants: tuple[PlannedVariant, ...]
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, config: Document, containers: Mapping[str, Mapping[str, Any]]) -> "Plan":
        """Plan what an endpoint configuration says.

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
        settings = {"DataCaptureConfig": _capture(config.get("DataCaptureConfig")), "LastDeploymentConfig": None}
        return cls(config["EndpointConfigName"], variants, settings)

    @classmethod
    def live(cls, endpoint: Document) -> "Plan":
        """Plan what an endpoint already is.

        :param endpoint: its document
        :returns: the plan
        """
        variants = tuple(
            PlannedVariant(
                name=variant["VariantName"],
                model_name=endpoint["LiveVariants"][variant["VariantName"]]["ModelName"],
                container=endpoint["LiveVariants"][variant["VariantName"]]["Container"],
                instance_count=variant["CurrentInstanceCount"],
                weight=variant["CurrentWeight"],
            )
            for variant in endpoint["ProductionVariants"]
        )
        return cls(endpoint["EndpointConfigName"], variants, {})

    def specs(self) -> list[VariantSpec]:
        """Say it to the compute.

        :returns: the variants' specifications
        """
        return [variant.spec() for variant in self.variants]

    def pending(self) -> dict[str, Any]:
        """Say it as DescribeEndpoint does while it is not yet true.

        :returns: a PendingDeploymentSummary
        """
        started = now()
        variants = []
        for variant in self.variants:
            status = [{"Status": "Creating", "StartTime": started}]
            variants.append(variant.summary() | {"CurrentInstanceCount": 0, "VariantStatus": status})
        return {"EndpointConfigName": self.config_name, "ProductionVariants": variants, "StartTime": started}


def check_deployment(parameters: Mapping[str, Any]) -> None:
    """Refuse a way of deploying that is not offered here.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeploymentConfig.html

    :param parameters: of CreateEndpoint or UpdateEndpoint
    :raises ServiceError: it asks for more than blue/green with all traffic at once
    """
    deployment = parameters.get("DeploymentConfig", {})
    for member in ("RollingUpdatePolicy", "AutoRollbackConfiguration"):
        if member in deployment:
            raise invalid(f"The local AWS offers no {member}.")
    routing = deployment.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    if routing.get("Type", "ALL_AT_ONCE") != "ALL_AT_ONCE":
        raise invalid(f"The local AWS offers no {routing['Type']} traffic routing.")


def new_endpoint(parameters: Mapping[str, Any], arn: str, plan: Plan) -> Document:
    """Write the document of an endpoint that is being created.

    :param parameters: of CreateEndpoint
    :param arn: of the endpoint
    :param plan: what is being deployed
    :returns: the document
    """
    created = now()
    return {
        "EndpointName": parameters["EndpointName"],
        "EndpointArn": arn,
        "EndpointConfigName": plan.config_name,
        "EndpointStatus": "Creating",
        "CreationTime": created,
        "LastModifiedTime": created,
        "PendingDeploymentSummary": plan.pending(),
    }


def plan_update(endpoint: Document, plan: Plan, parameters: Mapping[str, Any]) -> Plan:
    """Begin an UpdateEndpoint.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html

    :param endpoint: the document, changed in place
    :param plan: what the new configuration says
    :param parameters: of UpdateEndpoint
    :returns: the plan with what the request retains of the live endpoint
    """
    settings = dict(plan.settings)
    if parameters.get("RetainAllVariantProperties"):
        excluded = {item["VariantPropertyType"] for item in parameters.get("ExcludeRetainedVariantProperties", [])}
        live = {variant["VariantName"]: variant for variant in endpoint["ProductionVariants"]}
        plan = replace(plan, variants=tuple(_retain(variant, live, excluded) for variant in plan.variants))
        if "DataCaptureConfig" not in excluded:
            settings["DataCaptureConfig"] = endpoint.get("DataCaptureConfig")
    settings["LastDeploymentConfig"] = parameters.get("DeploymentConfig")
    if parameters.get("RetainDeploymentConfig") and settings["LastDeploymentConfig"] is None:
        settings["LastDeploymentConfig"] = endpoint.get("LastDeploymentConfig")
    endpoint["EndpointStatus"] = "Updating"
    endpoint["PendingDeploymentSummary"] = plan.pending()
    return replace(plan, settings=settings)


def deployed(endpoint: Document, plan: Plan) -> None:
    """End a deployment that went well.

    :param endpoint: the document, changed in place
    :param plan: what is serving now
    """
    endpoint.pop("PendingDeploymentSummary", None)
    endpoint.pop("FailureReason", None)
    endpoint |= {
        **plan.settings,
        "EndpointConfigName": plan.config_name,
        "EndpointStatus": "InService",
        "ProductionVariants": [variant.summary() for variant in plan.variants],
        "LiveVariants": {
            variant.name: {"ModelName": variant.model_name, "Container": dict(variant.container)}
            for variant in plan.variants
        },
    }


def in_service_again(endpoint: Document, reason: str) -> None:
    """End a deployment that failed while the configuration before goes on serving.

    :param endpoint: the document, changed in place
    :param reason: why it failed
    """
    endpoint.pop("PendingDeploymentSummary", None)
    for variant in endpoint["ProductionVariants"]:
        variant |= {
            "DesiredWeight": variant["CurrentWeight"],
            "DesiredInstanceCount": variant["CurrentInstanceCount"],
        }
    endpoint["EndpointStatus"] = "InService"
    endpoint["FailureReason"] = reason[:1024]


def failed(endpoint: Document, reason: str) -> None:
    """End a deployment that left nothing serving.

    :param endpoint: the document, changed in place
    :param reason: why it failed
    """
    endpoint.pop("PendingDeploymentSummary", None)
    endpoint["EndpointStatus"] = "Failed"
    endpoint["FailureReason"] = reason[:1024]


def plan_weights(endpoint: Document, changes: list[dict[str, Any]]) -> None:
    """Begin an UpdateEndpointWeightsAndCapacities.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpointWeightsAndCapacities.html

    :param endpoint: the document, changed in place
    :param changes: the request's DesiredWeightsAndCapacities
    :raises ServiceError: a variant is unknown, named twice, or would be left without instances
    """
    variants = {variant["VariantName"]: variant for variant in endpoint["ProductionVariants"]}
    names = [change["VariantName"] for change in changes]
    if len(set(names)) < len(names):
        raise invalid("Duplicate variant names found in DesiredWeightsAndCapacities.")
    for change in changes:
        if change["VariantName"] not in variants:
            raise invalid(f'Could not find variant "{change["VariantName"]}" of endpoint "{endpoint["EndpointArn"]}".')
        if "ServerlessUpdateConfig" in change:
            raise invalid("The local AWS offers no ServerlessUpdateConfig.")
        if change.get("DesiredInstanceCount", 1) < 1:
            raise invalid(f"DesiredInstanceCount of variant {change['VariantName']} must be at least 1.")
        wanted = {m: change[m] for m in ("DesiredWeight", "DesiredInstanceCount") if m in change}
        variants[change["VariantName"]].update(wanted)
    if not any(variant["DesiredWeight"] for variant in variants.values()):
        raise invalid("At least one variant must have a weight greater than 0.")
    endpoint["EndpointStatus"] = "Updating"


def weights_settled(endpoint: Document) -> None:
    """End an UpdateEndpointWeightsAndCapacities that went well.

    :param endpoint: the document, changed in place
    """
    for variant in endpoint["ProductionVariants"]:
        variant |= {
            "CurrentWeight": variant["DesiredWeight"],
            "CurrentInstanceCount": variant["DesiredInstanceCount"],
        }
    endpoint.pop("FailureReason", None)
    endpoint["EndpointStatus"] = "InService"


def _retain(variant: PlannedVariant, live: Mapping[str, Mapping[str, Any]], excluded: set[str]) -> PlannedVariant:
    if variant.name not in live:
        return variant
    if "DesiredInstanceCount" not in excluded:
        variant = replace(variant, instance_count=live[variant.name]["DesiredInstanceCount"])
    if "DesiredWeight" not in excluded:
        variant = replace(variant, weight=live[variant.name]["DesiredWeight"])
    return variant


def _capture(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if config is None:
        return None
    return {
        "EnableCapture": config.get("EnableCapture", False),
        # Nothing is captured here.
        "CaptureStatus": "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }
