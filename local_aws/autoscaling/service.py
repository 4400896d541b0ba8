"""Application Auto Scaling put together."""

from dataclasses import replace
from typing import Any

from local_aws.api import JsonService, RequestContext, ServiceError, ServiceParts
from local_aws.autoscaling.cloudformation import ScalableTargetResource, ScalingPolicyResource
from local_aws.autoscaling.policies import ScalingPolicies
from local_aws.autoscaling.targets import ScalableTargets
from local_aws.store import Store

PRINCIPAL = "application-autoscaling.amazonaws.com"


def build(store: Store, sagemaker: JsonService) -> ServiceParts:
    """Build Application Auto Scaling.

    :param store: where its documents are kept
    :param sagemaker: whose endpoint variants it scales
    :returns: what the gateway needs of it
    """

    def check_variant(context: RequestContext, endpoint_name: str, variant_name: str) -> None:
        try:
            endpoint = sagemaker.call(
                replace(context, caller=PRINCIPAL), "DescribeEndpoint", {"EndpointName": endpoint_name}
            )
        except ServiceError as error:
            raise ServiceError("ValidationException", error.message) from error
        if variant_name not in [variant["VariantName"] for variant in endpoint.get("ProductionVariants", [])]:
            raise ServiceError(
                "ValidationException", f"Could not find variant {variant_name} of endpoint {endpoint['EndpointArn']}."
            )

    def variants(context: RequestContext, config_name: str) -> dict[str, str]:
        config = sagemaker.call(
            replace(context, caller=PRINCIPAL), "DescribeEndpointConfig", {"EndpointConfigName": config_name}
        )
        return {variant["VariantName"]: variant.get("InstanceType", "") for variant in config["ProductionVariants"]}

    def check_update(context: RequestContext, parameters: dict[str, Any]) -> None:
        name = parameters["EndpointName"]
        try:
            endpoint = sagemaker.call(replace(context, caller=PRINCIPAL), "DescribeEndpoint", {"EndpointName": name})
            live = variants(context, endpoint["EndpointConfigName"])
            wanted = variants(context, parameters["EndpointConfigName"])
        except ServiceError:
            # What is missing, the update itself refuses; what serves without its configuration cannot be compared.
            return
        targets.refuse_update(context, name, live, wanted)

    targets = ScalableTargets(store, check_variant)
    sagemaker.before("UpdateEndpoint", check_update)
    sagemaker.after(
        "DeleteEndpoint", lambda context, parameters: targets.deregister_endpoint(context, parameters["EndpointName"])
    )
    service = JsonService(
        "application-autoscaling", {**targets.operations(), **ScalingPolicies(store, targets).operations()}
    )
    return ServiceParts(
        service,
        {
            "AWS::ApplicationAutoScaling::ScalableTarget": ScalableTargetResource(service),
            "AWS::ApplicationAutoScaling::ScalingPolicy": ScalingPolicyResource(service),
        },
    )
