"""The alarms of a target tracking policy, which Application Auto Scaling makes and deletes.

https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
"""

import logging
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.framework.api import ServiceError
from local_aws.framework.store import Document, Scope

# What each predefined metric stands for: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
PREDEFINED = {"SageMakerVariantInvocationsPerInstance": ("AWS/SageMaker", "InvocationsPerInstance", "Sum")}
_PERIOD_SECONDS = 60
_HIGH_PERIODS = 3
_LOW_PERIODS = 15
# Between this share of the target and the target nothing is scaled, so that the capacity does not oscillate.
_LOW_SHARE = 0.9

_log = logging.getLogger(__name__)


class PolicyAlarms:
    """Keeps the two alarms of each target tracking policy in CloudWatch.

    :param client: gives boto3's CloudWatch client for an account and region
    """

    def __init__(self, client: Callable[[Scope], Any]) -> None:
        self._client = client

    def put(self, scope: Scope, policy: Document, before: list[Document]) -> list[Document]:
        """Create or update the policy's alarms.

        :param scope: the policy's account and region
        :param policy: the policy
        :param before: its alarms so far
        :returns: its alarms
        :raises ServiceError: CloudWatch refused one
        """
        wanted = requests(policy, [alarm["AlarmName"] for alarm in before])
        try:
            for request in wanted:
                self._client(scope).put_metric_alarm(**request)
        except (ClientError, BotoCoreError) as error:
            raise ServiceError("FailedResourceAccessException", f"Cannot put the policy's alarms: {error}") from error
        names = [request["AlarmName"] for request in wanted]
        return [{"AlarmName": name, "AlarmARN": scope.arn("cloudwatch", f"alarm:{name}")} for name in names]

    def all_low(self, scope: Scope, policies: Iterable[Document]) -> bool:
        """Tell whether every policy would scale in.

        "Application Auto Scaling scales in only if all of the target tracking policies (with the scale-in portion
        enabled) are ready to scale in."

        :param scope: the policies' account and region
        :param policies: target tracking policies
        :returns: whether the low alarm of each is in ALARM
        """
        names = [policy["Alarms"][1]["AlarmName"] for policy in policies]
        if not names:
            return True
        try:
            found = self._client(scope).describe_alarms(AlarmNames=names, StateValue="ALARM")["MetricAlarms"]
        except (ClientError, BotoCoreError) as error:
            _log.warning("alarms %s are not to be seen: %s", ", ".join(names), error)
            return False
        return len(found) == len(names)

    def delete(self, scope: Scope, policies: Iterable[Document]) -> None:
        """Delete the alarms of policies.

        :param scope: the policies' account and region
        :param policies: the policies
        """
        names = [alarm["AlarmName"] for policy in policies for alarm in policy["Alarms"]]
        if not names:
            return
        try:
            self._client(scope).delete_alarms(AlarmNames=names)
        except (ClientError, BotoCoreError) as error:
            # Their policy is gone, so they have no effect.
            _log.warning("alarms %s are left behind: %s", ", ".join(names), error)


def requests(policy: Document, names: list[str]) -> list[dict[str, Any]]:
    """Write the two alarms of a target tracking policy.

    :param policy: the policy
    :param names: of the two, high first; empty for new ones
    :returns: parameters of PutMetricAlarm, high first
    """
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    target = configuration["TargetValue"]
    prefix = f"TargetTracking-{policy['ResourceId']}-Alarm"
    high, low = names or [f"{prefix}{kind}-{uuid.uuid4()}" for kind in ("High", "Low")]
    common = {
        **_metric(policy, configuration),
        "Period": _PERIOD_SECONDS,
        "AlarmActions": [policy["PolicyARN"]],
        "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy['PolicyARN']}.",
    }
    return [
        {
            **common,
            "AlarmName": high,
            "EvaluationPeriods": _HIGH_PERIODS,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": target,
        },
        {
            **common,
            "AlarmName": low,
            "EvaluationPeriods": _LOW_PERIODS,
            "ComparisonOperator": "LessThanThreshold",
            "Threshold": target * _LOW_SHARE,
        },
    ]


def _metric(policy: Document, configuration: dict[str, Any]) -> dict[str, Any]:
    if "PredefinedMetricSpecification" in configuration:
        kind = configuration["PredefinedMetricSpecification"]["PredefinedMetricType"]
        namespace, name, statistic = PREDEFINED[kind]
        _, endpoint, _, variant = policy["ResourceId"].split("/")
        dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
        return {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions, "Statistic": statistic}
    given = configuration["CustomizedMetricSpecification"]
    return {
        **{member: given[member] for member in ("Namespace", "MetricName", "Statistic")},
        "Dimensions": given.get("Dimensions", []),
        **({"Unit": given["Unit"]} if "Unit" in given else {}),
    }
