"""How an endpoint's document changes: pure functions, run while the document is locked.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local_aws.compute.update_policy import UpdateStage
from local_aws.framework.store import Document
from local_aws.sagemaker.endpoint_plan import CAPTURE_MEMBERS, Plan, PlannedVariant
from local_aws.sagemaker.resources import invalid, now

DEPLOYMENT_FAILED = "Request to service failed. If failure persists after retry, contact customer support."


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
        "LastDeploymentConfig": parameters.get("DeploymentConfig"),
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
            settings |= {member: endpoint.get(member) for member in CAPTURE_MEMBERS}
    if "DeploymentConfig" in parameters:
        endpoint["LastDeploymentConfig"] = parameters["DeploymentConfig"]
    endpoint["EndpointStatus"] = "Updating"
    endpoint["PendingDeploymentSummary"] = plan.pending()
    # A roll-back, or the next start of the local AWS, restores these.
    endpoint["VariantsBefore"] = copy.deepcopy(endpoint["ProductionVariants"])
    return replace(plan, settings=settings)


def deployment_config_of(endpoint: Document, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the deployment configuration of an UpdateEndpoint.

    :param endpoint: the document as it is before
    :param parameters: of UpdateEndpoint
    :returns: the request's, the last one if that is to be retained, or an empty one
    """
    last = endpoint.get("LastDeploymentConfig") if parameters.get("RetainDeploymentConfig") else None
    return parameters.get("DeploymentConfig") or last or {}


def progressed(endpoint: Document, stage: UpdateStage) -> None:
    """Show the progress of a deployment.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_PendingDeploymentSummary.html

    :param endpoint: the document, changed in place
    :param stage: what the deployment does now
    """
    rolling_back = stage.status == "RollingBack"
    if rolling_back:
        endpoint["EndpointStatus"] = "RollingBack"
    pending = endpoint["PendingDeploymentSummary"]["ProductionVariants"]
    # An update deletes the old instances, a roll-back the new ones.
    told = endpoint["ProductionVariants"] if stage.status == "Deleting" else pending
    for variant in (*endpoint["ProductionVariants"], *pending):
        variant.pop("VariantStatus", None)
    for variant in told:
        if message := stage.messages.get(variant["VariantName"]):
            status = "Deleting" if rolling_back else stage.status
            variant["VariantStatus"] = [{"Status": status, "StatusMessage": message, "StartTime": now()}]
    for variant in pending:
        variant["CurrentInstanceCount"] = stage.new.get(variant["VariantName"], 0)
    for variant in endpoint["ProductionVariants"]:
        if stage.old is not None:
            variant["CurrentInstanceCount"] = stage.old[variant["VariantName"]]


def deployed(endpoint: Document, plan: Plan) -> None:
    """End a successful deployment.

    :param endpoint: the document, changed in place
    :param plan: what is serving now
    """
    for member in ("PendingDeploymentSummary", "FailureReason", "VariantsBefore"):
        endpoint.pop(member, None)
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
    """End a failed deployment; the earlier configuration still serves.

    :param endpoint: the document, changed in place
    :param reason: why it failed
    """
    endpoint.pop("PendingDeploymentSummary", None)
    endpoint["ProductionVariants"] = endpoint.pop("VariantsBefore", endpoint["ProductionVariants"])
    for variant in endpoint["ProductionVariants"]:
        variant.pop("VariantStatus", None)
        variant |= {
            "DesiredWeight": variant["CurrentWeight"],
            "DesiredInstanceCount": variant["CurrentInstanceCount"],
        }
    endpoint["EndpointStatus"] = "InService"
    endpoint["FailureReason"] = reason[:1024]


def rollback_failed(endpoint: Document, reason: str) -> None:
    """End a rolling deployment that failed and could not be rolled back completely.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html, UpdateRollbackFailed

    :param endpoint: the document, changed in place
    :param reason: why both failed
    """
    left = {variant["VariantName"]: variant["CurrentInstanceCount"] for variant in endpoint["ProductionVariants"]}
    in_service_again(endpoint, reason)
    for variant in endpoint["ProductionVariants"]:
        variant["CurrentInstanceCount"] = left[variant["VariantName"]]
    endpoint["EndpointStatus"] = "UpdateRollbackFailed"


def failed(endpoint: Document, reason: str) -> None:
    """End a failed deployment after which nothing serves.

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
        variant = variants[change["VariantName"]]
        variant.update(wanted)
        if variant["DesiredInstanceCount"] != variant["CurrentInstanceCount"]:
            way = "out" if variant["DesiredInstanceCount"] > variant["CurrentInstanceCount"] else "in"
            message = f"Scaling {way} desired instance count to {variant['DesiredInstanceCount']}."
            variant["VariantStatus"] = [{"Status": "Updating", "StatusMessage": message, "StartTime": now()}]
    if not any(variant["DesiredWeight"] for variant in variants.values()):
        raise invalid("At least one variant must have a weight greater than 0.")
    endpoint["EndpointStatus"] = "Updating"


def weights_settled(endpoint: Document) -> None:
    """End a successful UpdateEndpointWeightsAndCapacities.

    :param endpoint: the document, changed in place
    """
    for variant in endpoint["ProductionVariants"]:
        variant.pop("VariantStatus", None)
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
