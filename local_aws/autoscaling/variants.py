"""Endpoint variants, which Application Auto Scaling reads and changes through SageMaker's API.

https://docs.aws.amazon.com/autoscaling/application/userguide/services-that-can-integrate-sagemaker.html
"""

import re
from dataclasses import dataclass

from local_aws.framework.api import JsonService, RequestContext, ServiceError
from local_aws.framework.store import Document, Scope

RESOURCE_ID = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"


@dataclass(frozen=True)
class VariantState:
    """An endpoint's variant.

    :param status: EndpointStatus
    :param reason: FailureReason of the endpoint; empty without one
    """

    status: str
    reason: str
    current: int
    desired: int


class Variants:
    """Reads and changes variants, under the service-linked role.

    :param sagemaker: the service
    """

    def __init__(self, sagemaker: JsonService) -> None:
        self._sagemaker = sagemaker

    def state(self, scope: Scope, target: Document) -> VariantState | None:
        """Read a variant's state.

        :param scope: account and region
        :param target: whose ResourceId names it
        :returns: None when there is no such variant
        """
        endpoint_name, variant_name = _names(target)
        try:
            endpoint = self._sagemaker.call(_as_role(scope), "DescribeEndpoint", {"EndpointName": endpoint_name})
        except ServiceError:
            return None
        for variant in endpoint.get("ProductionVariants", []):
            if variant["VariantName"] == variant_name:
                return VariantState(
                    endpoint["EndpointStatus"],
                    endpoint.get("FailureReason", ""),
                    variant["CurrentInstanceCount"],
                    variant["DesiredInstanceCount"],
                )
        return None

    def set_capacity(self, scope: Scope, target: Document, capacity: int) -> None:
        """Request another instance count.

        :param scope: account and region
        :param target: whose ResourceId names the variant
        :param capacity: how many
        :raises ServiceError: SageMaker refuses
        """
        endpoint_name, variant_name = _names(target)
        change = {"VariantName": variant_name, "DesiredInstanceCount": capacity}
        self._sagemaker.call(
            _as_role(scope),
            "UpdateEndpointWeightsAndCapacities",
            {"EndpointName": endpoint_name, "DesiredWeightsAndCapacities": [change]},
        )


def _names(target: Document) -> tuple[str, str]:
    match = RESOURCE_ID.fullmatch(target["ResourceId"])
    if match is None:
        raise ValueError(f"{target['ResourceId']} names no variant")
    return match[1], match[2]


def _as_role(scope: Scope) -> RequestContext:
    role = f"arn:aws:sts::{scope.account_id}:assumed-role/{ROLE}/AutoScaling-UpdateDesiredCapacity"
    return RequestContext(scope.account_id, scope.region, role)
