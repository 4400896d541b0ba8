"""Scaling policies of scalable targets, and the activities they cause.

https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScalingPolicy.html
"""

import time
import uuid
from typing import Any

from local_aws.api import Operation, RequestContext, ServiceError
from local_aws.autoscaling.targets import ScalableTargets, describe, key, page_of, same
from local_aws.store import Document, Scope, Store

_IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_CONFIGURATIONS = {
    "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
    "StepScaling": "StepScalingPolicyConfiguration",
}


class ScalingPolicies:
    """The operations on scaling policies and activities.

    :param store: where they are kept
    :param targets: the targets they are of
    """

    def __init__(self, store: Store, targets: ScalableTargets) -> None:
        self._policies = store.collection("scaling_policies")
        self._activities = store.collection("scaling_activities")
        self._targets = targets
        targets.on_deregistered = self._forget

    def operations(self) -> dict[str, Operation]:
        """Give the operations of the API.

        :returns: operation by name
        """
        return {
            "PutScalingPolicy": self._put,
            "DescribeScalingPolicies": self._describe,
            "DeleteScalingPolicy": self._delete,
            "DescribeScalingActivities": self._describe_activities,
        }

    def _put(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        self._targets.get(context, parameters)
        old = self._policies.get(context, _policy_key(parameters))
        policy = {**(old or _new(context, parameters)), **parameters}
        if old and old["PolicyType"] != policy["PolicyType"]:
            raise ServiceError("ValidationException", "The policy type of an existing policy cannot be changed.")
        _check(policy, [other for other in self._of_target(context, parameters) if other != old])
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
        if not self._policies.delete(context, _policy_key(parameters)):
            raise ServiceError("ObjectNotFoundException", f"No scaling policy found for {describe(parameters)}")
        return {}

    def _describe_activities(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        found = [activity for activity in self._activities.list(context) if same(parameters, activity, *_IDENTITY)]
        # The newest first.
        page, token = page_of(found, parameters, lambda activity: (-activity["StartTime"], activity["ActivityId"]))
        return {"ScalingActivities": page, "NextToken": token}

    def _of_target(self, scope: Scope, target: dict[str, Any]) -> list[Document]:
        return [policy for policy in self._policies.list(scope) if same(target, policy, *_IDENTITY)]

    def _forget(self, scope: Scope, target: Document) -> None:
        """Delete a target's policies with it, as DeregisterScalableTarget does."""
        for policy in self._of_target(scope, target):
            self._policies.delete(scope, _policy_key(policy))


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
    if metric.get("PredefinedMetricType", "SageMaker").startswith("SageMaker") is False:
        raise ServiceError(
            "ValidationException",
            f"Predefined metric type {metric['PredefinedMetricType']} is not supported by the scalable target.",
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
