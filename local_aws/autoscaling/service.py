"""Application Auto Scaling put together."""

from dataclasses import replace
from typing import Any

from local_aws.autoscaling.activities import ScalingActivities
from local_aws.autoscaling.alarms import PolicyAlarms
from local_aws.autoscaling.cloudformation import ScalableTargetResource, ScalingPolicyResource
from local_aws.autoscaling.permissions import needed
from local_aws.autoscaling.policies import ScalingPolicies
from local_aws.autoscaling.scaler import Scaler
from local_aws.autoscaling.scheduled_actions import ScheduledActions
from local_aws.autoscaling.targets import ScalableTargets
from local_aws.autoscaling.variants import ROLE, Variants
from local_aws.compute.base import ComputeSettings
from local_aws.framework.api import JsonService, Operation, RequestContext, ServiceError
from local_aws.framework.authorization import Needed
from local_aws.framework.service_parts import ServiceParts
from local_aws.framework.store import Document, Scope, Store
from local_aws.settings import Settings

PRINCIPAL = "application-autoscaling.amazonaws.com"


def build(store: Store, sagemaker: JsonService, settings: Settings) -> ServiceParts:
    """Build Application Auto Scaling.

    :param store: where its documents are kept
    :param sagemaker: whose endpoint variants it scales
    :param settings: how this local AWS runs
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
            # The update itself refuses what is missing. A live endpoint without its configuration cannot be compared.
            return
        targets.refuse_update(context, name, live, wanted)

    client = ComputeSettings(settings.endpoint_url, settings.state_dir, settings.inside_secret).client
    alarms = PolicyAlarms(lambda scope: client("cloudwatch", scope.account_id, scope.region))
    targets = ScalableTargets(store, check_variant)
    policies = ScalingPolicies(store, targets, alarms)
    activities = ScalingActivities(store)
    scheduled = ScheduledActions(store, targets, activities, settings.clock)
    scaler = Scaler(targets, policies, activities, Variants(sagemaker), settings.clock, scheduled.perform)

    def forget(scope: Scope, target: Document) -> None:
        policies.forget(scope, target)
        scheduled.forget(scope, target)

    targets.on_deregistered = forget
    targets.on_bounds = scaler.wake
    sagemaker.before("UpdateEndpoint", check_update)
    sagemaker.after(
        "DeleteEndpoint", lambda context, parameters: targets.deregister_endpoint(context, parameters["EndpointName"])
    )
    operations: dict[str, Operation] = {
        **targets.operations(),
        **policies.operations(),
        **activities.operations(),
        **scheduled.operations(),
    }
    service = JsonService("application-autoscaling", operations)
    linked_roles = store.collection("service_linked_roles")

    def account(context: RequestContext) -> Scope:
        return Scope(context.account_id, "global")

    def needs(context: RequestContext, operation: str, parameters: dict[str, Any]) -> list[Needed]:
        return needed(context, operation, parameters, linked_roles.get(account(context), ROLE) is not None)

    service.needs = needs
    service.after("RegisterScalableTarget", lambda context, _: linked_roles.put(account(context), ROLE, {"Name": ROLE}))
    return ServiceParts(
        service,
        {
            "AWS::ApplicationAutoScaling::ScalableTarget": ScalableTargetResource(service),
            "AWS::ApplicationAutoScaling::ScalingPolicy": ScalingPolicyResource(service),
        },
        start=scaler.start,
        stop=scaler.stop,
        alarm_action=scaler.alarmed,
    )
