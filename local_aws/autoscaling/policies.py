"""Scaling policies of scalable targets.

https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScalingPolicy.html
"""

import time
import uuid
from typing import Any

from local_aws.autoscaling.alarms import PREDEFINED, PolicyAlarms
from local_aws.autoscaling.targets import ScalableTargets, describe, key, page_of, same
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.store import Document, Scope, Store

_IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_CONFIGURATIONS = {
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
    "StepScaling": "StepScalingPolicyConfiguration",
}


class ScalingPolicies:
    """The operations on scaling policies.

    :param store: where they are kept
    :param targets: the targets they are of
    :param alarms: what invokes them
    """

    def __init__(self, store: Store, targets: ScalableTargets, alarms: PolicyAlarms) -> None:
        self._policies = store.collection("scaling_policies")
        self._targets = targets
        self._alarms = alarms

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "PutScalingPolicy": self._put,
            "DescribeScalingPolicies": self._describe,
            "DeleteScalingPolicy": self._delete,
        }

    def _put(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        self._targets.get(context, parameters)
        old = self._policies.get(context, _policy_key(parameters))
        policy = {**(old or _new(context, parameters)), **parameters}
        if old and old["PolicyType"] != policy["PolicyType"]:
            raise ServiceError("ValidationException", "The policy type of an existing policy cannot be changed.")
        _check(policy, [other for other in self.of_target(context, parameters) if other != old])
        if policy["PolicyType"] == "TargetTrackingScaling":
            policy["Alarms"] = self._alarms.put(context, policy, policy["Alarms"])
        self._policies.put(context, _policy_key(parameters), policy)
        return policy

    def _describe(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        if "ScalableDimension" in parameters and "ResourceId" not in parameters:
            raise ServiceError("ValidationException", "Resource ID must be specified if scalable dimension is.")
        wanted = parameters.get("PolicyNames")
        found = [
            policy
            for policy in self._policies.list(context)
            if same(parameters, policy, *_IDENTITY) and (not wanted or policy["PolicyName"] in wanted)
        ]
        page, token = page_of(found, parameters, lambda policy: (_policy_key(policy),))
        return {"ScalingPolicies": page, "NextToken": token}

    def _delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        policy = self._policies.get(context, _policy_key(parameters))
        if policy is None:
            raise ServiceError("ObjectNotFoundException", f"No scaling policy found for {describe(parameters)}")
        self._policies.delete(context, _policy_key(parameters))
        self._alarms.delete(context, [policy])
        return {}

    def of_target(self, scope: Scope, target: dict[str, Any]) -> list[Document]:
        """Return the policies of a target.

        :param scope: account and region
        :param target: what names it
        """
        return [policy for policy in self._policies.list(scope) if same(target, policy, *_IDENTITY)]

    def may_scale_in(self, scope: Scope, policy: Document) -> bool:
        """Tell whether the target's other policies allow a target tracking policy to scale in.

        :param scope: account and region
        :param policy: the one that wants to scale in
        :returns: whether every other policy that scales in would do so too
        """
        others = [
            other
            for other in self.of_target(scope, policy)
            if other["PolicyARN"] != policy["PolicyARN"]
            and other["PolicyType"] == "TargetTrackingScaling"
            and not other["TargetTrackingScalingPolicyConfiguration"].get("DisableScaleIn")
        ]
        return self._alarms.all_low(scope, others)

    def by_arn(self, scope: Scope, arn: str) -> Document | None:
        """Find the policy that an alarm invokes.

        :param scope: account and region
        :param arn: the action of the alarm
        :returns: None when it is gone
        """
        return next((policy for policy in self._policies.list(scope) if policy["PolicyARN"] == arn), None)

    def forget(self, scope: Scope, target: Document) -> None:
        """Delete the policies of a deregistered target.

        :param scope: account and region
        :param target: the target that is gone
        """
        policies = self.of_target(scope, target)
        for policy in policies:
            self._policies.delete(scope, _policy_key(policy))
        self._alarms.delete(scope, policies)


def _policy_key(parameters: dict[str, Any]) -> str:
    return f"{key(parameters)}|{parameters['PolicyName']}"


def _new(context: RequestContext, parameters: dict[str, Any]) -> Document:
    resource = f"resource/{parameters['ServiceNamespace']}/{parameters['ResourceId']}"
    return {
        "PolicyType": "StepScaling",
        "CreationTime": time.time(),
        "Alarms": [],
        "PolicyARN": context.arn(
            "autoscaling", f"scalingPolicy:{uuid.uuid4()}:{resource}:policyName/{parameters['PolicyName']}"
        ),
    }


def _check(policy: Document, others: list[Document]) -> None:
    configuration = _CONFIGURATIONS.get(policy["PolicyType"])
    if configuration is None:
        raise ServiceError("ValidationException", f"Policy type {policy['PolicyType']} is not available here.")
    if configuration not in policy:
        raise ServiceError(
            "ValidationException", f"{configuration} is required for policies of type {policy['PolicyType']}."
        )
    if policy["PolicyType"] != "TargetTrackingScaling":
        return
    metric = _metric(policy)
    kind = metric.get("PredefinedMetricType")
    if kind is not None and not kind.startswith("SageMaker"):
        raise ServiceError(
            "ValidationException", f"Predefined metric type {kind} is not supported by the scalable target."
        )
    if kind is not None and kind not in PREDEFINED:
        raise ServiceError("ValidationException", f"Predefined metric type {kind} is not available here.")
    if kind is None and not {"Namespace", "MetricName", "Statistic"} <= metric.keys():
        raise ServiceError(
            "ValidationException",
            "A customized metric needs Namespace, MetricName and Statistic; metric math is not available here.",
        )
    if any(other["PolicyType"] == "TargetTrackingScaling" and _metric(other) == metric for other in others):
        raise ServiceError(
            "ValidationException",
            "Only one TargetTrackingScaling policy for a given metric specification is allowed.",
        )


def _metric(policy: Document) -> dict[str, Any]:
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    given = [
        configuration[member]
        for member in ("PredefinedMetricSpecification", "CustomizedMetricSpecification")
        if member in configuration
    ]
    if len(given) != 1:
        raise ServiceError(
            "ValidationException",
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified.",
        )
    return given[0]
