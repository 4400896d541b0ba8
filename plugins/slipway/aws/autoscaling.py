"""Application Auto Scaling: the scalable targets of endpoint variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.session import AwsHook

# https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalableTargets.html
_NAMESPACE = "sagemaker"


@dataclass(frozen=True)
class ScalableTarget:
    """One scalable target: ``endpoint/NAME/variant/NAME`` and what of it is scaled."""

    resource_id: str
    dimension: str


@dataclass(frozen=True)
class VariantScaling:
    """How Application Auto Scaling scales one variant.

    :param minimum: instances at least; None where the variant is no scalable target
    :param maximum: instances at most; None where the variant is no scalable target
    :param policies: the configuration of each target tracking policy, by the policy's name
    :param schedules: each scheduled action as AWS describes it, by its name
    """

    variant: str
    minimum: int | None
    maximum: int | None
    policies: Mapping[str, Mapping[str, Any]]
    schedules: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ScalingActivity:
    """One change of a variant's instance count.

    :param ended: None while it is under way
    :param description: AWS's text about what is done
    :param cause: AWS's text about why
    """

    resource_id: str
    began: datetime
    ended: datetime | None
    description: str
    cause: str
    status: str


class AutoScalingHook(AwsHook):
    """Scalable targets in the namespace of SageMaker.

    https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html
    """

    service = "application-autoscaling"

    @patient
    def scalable_targets(self, endpoint_name: str, variants: Sequence[str]) -> list[ScalableTarget]:
        """Find the scalable targets of an endpoint's variants by one call, however many the account has.

        https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalableTargets.html

        :param endpoint_name: the endpoint's name
        :param variants: the variants' names
        :returns: the targets; also those of an endpoint that was deleted
        :raises slipway.errors.AwsError: when a call fails
        """
        with aws_call("list the scalable targets of", endpoint_name):
            ids = [_resource_id(endpoint_name, variant) for variant in variants]
            listed = self._pages("describe_scalable_targets", "ScalableTargets", ResourceIds=ids)
        return [ScalableTarget(target["ResourceId"], target["ScalableDimension"]) for target in listed]

    @patient
    def scaling(self, endpoint_name: str, variants: Sequence[str]) -> list[VariantScaling]:
        """Describe how the variants of an endpoint are scaled: one call, and two for each variant.

        https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalingPolicies.html
        https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScheduledActions.html

        :param endpoint_name: the endpoint's name
        :param variants: the variants' names
        :returns: one for each variant
        :raises slipway.errors.AwsError: when a call fails
        """
        ids = {variant: _resource_id(endpoint_name, variant) for variant in variants}
        with aws_call("describe the auto scaling of", endpoint_name):
            listed = self._pages("describe_scalable_targets", "ScalableTargets", ResourceIds=list(ids.values()))
            targets = {target["ResourceId"]: target for target in listed}
            return [
                VariantScaling(
                    variant,
                    targets.get(resource_id, {}).get("MinCapacity"),
                    targets.get(resource_id, {}).get("MaxCapacity"),
                    {
                        policy["PolicyName"]: policy.get("TargetTrackingScalingPolicyConfiguration", {})
                        for policy in self._pages(
                            "describe_scaling_policies", "ScalingPolicies", ResourceId=resource_id
                        )
                    },
                    {
                        action["ScheduledActionName"]: action
                        for action in self._pages(
                            "describe_scheduled_actions", "ScheduledActions", ResourceId=resource_id
                        )
                    },
                )
                for variant, resource_id in ids.items()
            ]

    def _pages(self, operation: str, member: str, **arguments: Any) -> list[Mapping[str, Any]]:
        pages = self.conn.get_paginator(operation).paginate(ServiceNamespace=_NAMESPACE, **arguments)
        return [item for page in pages for item in page[member]]

    @patient
    def activities(
        self, endpoint_name: str, variants: Sequence[str], began: datetime, ended: datetime
    ) -> list[ScalingActivity]:
        """List how Auto Scaling changed an endpoint's variants; AWS keeps this for six weeks.

        One listing for each variant: the namespace's listing would have the activities of all endpoints.
        https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalingActivities.html

        :param endpoint_name: the endpoint's name
        :param variants: the variants' names
        :param began: activities that ended earlier are left out
        :param ended: activities that began later are left out
        :returns: the activities, the oldest first
        :raises slipway.errors.AwsError: when a call fails
        """
        listed: list[Mapping[str, Any]] = []
        with aws_call("list the scaling activities of", endpoint_name):
            for variant in variants:
                listed += self._pages(
                    "describe_scaling_activities", "ScalingActivities", ResourceId=_resource_id(endpoint_name, variant)
                )
        found = [
            ScalingActivity(
                resource_id=one["ResourceId"],
                began=one["StartTime"],
                ended=one.get("EndTime"),
                description=one["Description"],
                cause=one["Cause"],
                status=one["StatusCode"],
            )
            for one in listed
            if one["StartTime"] <= ended and one.get("EndTime", ended) >= began
        ]
        return sorted(found, key=lambda activity: activity.began)

    @patient
    def deregister(self, target: ScalableTarget) -> None:
        """Remove a scalable target and its policies; a missing one is no error.

        https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DeregisterScalableTarget.html

        :param target: the target
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("deregister the scalable target", target.resource_id):
            try:
                self.conn.deregister_scalable_target(
                    ServiceNamespace=_NAMESPACE, ResourceId=target.resource_id, ScalableDimension=target.dimension
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ObjectNotFoundException":
                    raise


def _resource_id(endpoint_name: str, variant: str) -> str:
    return f"endpoint/{endpoint_name}/variant/{variant}"
