"""The permissions that Application Auto Scaling's operations need.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_applicationautoscaling.html
"""

from collections.abc import Mapping
from typing import Any

from local_aws.autoscaling.variants import ROLE
from local_aws.framework.api import RequestContext
from local_aws.framework.authorization import Needed

_NAMESPACE = "application-autoscaling"
_LINKED_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"


def needed(
    context: RequestContext, operation: str, parameters: Mapping[str, Any], has_role: bool = True
) -> list[Needed]:
    """Return the permissions for an operation.

    :param context: account and region
    :param operation: such as ``PutScalingPolicy``
    :param parameters: the request, which has not been checked
    :param has_role: whether the account has the service-linked role, which its first scalable target makes
    """
    action = f"{_NAMESPACE}:{operation}"
    # The Describe actions have no resource-level permissions.
    if operation.startswith("Describe"):
        return [Needed(action)]
    keys = {
        f"{_NAMESPACE}:{key}": value
        for key, member in (("service-namespace", "ServiceNamespace"), ("scalable-dimension", "ScalableDimension"))
        if isinstance(value := parameters.get(member), str)
    }
    arn = parameters.get("ResourceARN")
    # AWS chooses the id of a scalable target, so a request does not name it.
    resource = arn if isinstance(arn, str) else context.arn(_NAMESPACE, "scalable-target/*")
    found = [Needed(action, resource, keys)]
    if operation == "PutScalingPolicy" and parameters.get("PolicyType") == "TargetTrackingScaling":
        # https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
        name = f"TargetTracking-{parameters.get('ResourceId', '')}-AlarmHigh"
        found.append(Needed("cloudwatch:PutMetricAlarm", context.arn("cloudwatch", f"alarm:{name}")))
    if operation == "RegisterScalableTarget" and not has_role:
        # https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html
        role = f"arn:aws:iam::{context.account_id}:role/aws-service-role/{_LINKED_SERVICE}/{ROLE}"
        found.append(Needed("iam:CreateServiceLinkedRole", role, {"iam:AWSServiceName": _LINKED_SERVICE}))
    return found
