"""Scalable targets and scaling policies as resources of CloudFormation stacks.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_ApplicationAutoScaling.html
"""

from datetime import datetime
from typing import Any

from local_aws.autoscaling.targets import key
from local_aws.framework.api import JsonService, ServiceError, service_model
from local_aws.framework.cloudformation import ResourceProgress, ResourceRequest
from local_aws.framework.coercion import coerced

_IDENTITY = ("ResourceId", "ScalableDimension", "ServiceNamespace")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-applicationautoscaling-scalabletarget-scheduledaction.html
_TIMES = ("EndTime", "StartTime")
_ACTION = ("ScalableTargetAction", "Schedule", "ScheduledActionName", "Timezone", *_TIMES)


class ScalableTargetResource:
    """AWS::ApplicationAutoScaling::ScalableTarget.

    :param service: Application Auto Scaling
    """

    replacing_properties = frozenset(_IDENTITY)
    name_property: str | None = None
    takes_tags = False
    # CloudFormation cannot read RoleARN; tags are not kept here.
    compared_properties = frozenset({*_IDENTITY, "MaxCapacity", "MinCapacity", "ScheduledActions", "SuspendedState"})

    def __init__(self, service: JsonService) -> None:
        self._service = service

    def create(self, request: ResourceRequest) -> ResourceProgress:
        """Register the target; one that is registered already does not belong to this stack."""
        parameters = _parameters("RegisterScalableTarget", request)
        if self._found(request, parameters) and not request.again:
            raise ServiceError("AlreadyExistsException", f"{key(parameters)} already exists")
        return self._register(request)

    def update(self, request: ResourceRequest) -> ResourceProgress:
        """Change the bounds, the suspended state or the scheduled actions."""
        progress = self._register(request)
        wanted = {action["ScheduledActionName"] for action in _scheduled(request.properties)}
        for action in _scheduled(request.old_properties or {}):
            if (name := action["ScheduledActionName"]) not in wanted:
                identity = _identity(progress.physical_id)
                _delete(self._service, request, "DeleteScheduledAction", {**identity, "ScheduledActionName": name})
        return progress

    def delete(self, request: ResourceRequest) -> None:
        """Deregister the target, which deletes its policies and scheduled actions; a missing one is fine."""
        _delete(self._service, request, "DeregisterScalableTarget", _identity(request.physical_id or ""))

    def read(self, request: ResourceRequest) -> dict[str, Any] | None:
        """Read the bounds and the scheduled actions, the declared ones first."""
        identity = _identity(request.physical_id or "")
        found = self._found(request, identity)
        if not found:
            return None
        listed = self._service.call(request.context, "DescribeScheduledActions", identity)["ScheduledActions"]
        live = {action["ScheduledActionName"]: action for action in listed}
        declared = {action["ScheduledActionName"]: action for action in _scheduled(request.properties)}
        names = [*(name for name in declared if name in live), *sorted(live.keys() - declared.keys())]
        return {**found[0], "ScheduledActions": [_action(declared.get(name, {}), live[name]) for name in names]}

    def _found(self, request: ResourceRequest, identity: dict[str, Any]) -> list[dict[str, Any]]:
        filters = {
            "ServiceNamespace": identity.get("ServiceNamespace"),
            "ResourceIds": [identity.get("ResourceId")],
            "ScalableDimension": identity.get("ScalableDimension"),
        }
        answer = self._service.call(request.context, "DescribeScalableTargets", filters)
        found: list[dict[str, Any]] = answer["ScalableTargets"]
        return found

    def _register(self, request: ResourceRequest) -> ResourceProgress:
        parameters = _parameters("RegisterScalableTarget", request)
        self._service.call(request.context, "RegisterScalableTarget", parameters)
        identity = _identity(key(parameters))
        for action in _scheduled(request.properties):
            self._service.call(request.context, "PutScheduledAction", _coerced("PutScheduledAction", identity | action))
        return ResourceProgress(key(parameters), {"Id": key(parameters)})


class ScalingPolicyResource:
    """AWS::ApplicationAutoScaling::ScalingPolicy.

    :param service: Application Auto Scaling
    """

    replacing_properties = frozenset({*_IDENTITY, "PolicyName", "ScalingTargetId"})
    name_property: str | None = None
    takes_tags = False
    # CloudFormation cannot read ScalingTargetId.
    compared_properties = frozenset(
        {
            *_IDENTITY,
            "PolicyName",
            "PolicyType",
            "StepScalingPolicyConfiguration",
            "TargetTrackingScalingPolicyConfiguration",
        }
    )

    def __init__(self, service: JsonService) -> None:
        self._service = service

    def create(self, request: ResourceRequest) -> ResourceProgress:
        """Put the policy."""
        return self._put(request)

    def update(self, request: ResourceRequest) -> ResourceProgress:
        """Put the policy again."""
        return self._put(request)

    def delete(self, request: ResourceRequest) -> None:
        """Delete the policy; a missing one is fine."""
        parameters = _policy_parameters(request)
        names = (*_IDENTITY, "PolicyName")
        _delete(self._service, request, "DeleteScalingPolicy", {name: parameters[name] for name in names})

    def read(self, request: ResourceRequest) -> dict[str, Any] | None:
        """Read the policy."""
        parameters = _policy_parameters(request)
        filters = {**{name: parameters[name] for name in _IDENTITY}, "PolicyNames": [parameters["PolicyName"]]}
        found = self._service.call(request.context, "DescribeScalingPolicies", filters)["ScalingPolicies"]
        return found[0] if found else None

    def _put(self, request: ResourceRequest) -> ResourceProgress:
        parameters = _policy_parameters(request)
        arn = self._service.call(request.context, "PutScalingPolicy", parameters)["PolicyARN"]
        return ResourceProgress(arn, {"Arn": arn, "PolicyName": parameters["PolicyName"]})


def _policy_parameters(request: ResourceRequest) -> dict[str, Any]:
    properties = dict(request.properties)
    target_id = properties.pop("ScalingTargetId", None)
    if target_id is not None:
        properties.update(_identity(target_id))
    if not all(properties.get(member) for member in _IDENTITY):
        raise ServiceError(
            "ValidationException",
            "Either ScalingTargetId or all three of [ResourceId, ScalableDimension, ServiceNamespace]"
            " must be specified",
        )
    return _coerced("PutScalingPolicy", properties)


def _parameters(operation: str, request: ResourceRequest) -> dict[str, Any]:
    return _coerced(
        operation, {name: value for name, value in request.properties.items() if name != "ScheduledActions"}
    )


def _coerced(operation: str, properties: dict[str, Any]) -> dict[str, Any]:
    return coerced(service_model("application-autoscaling").operation_model(operation).input_shape, properties)


def _scheduled(properties: dict[str, Any]) -> list[dict[str, Any]]:
    return properties.get("ScheduledActions") or []


def _action(declared: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """Return a live scheduled action, its times as the template writes them if they are the same."""
    found = {member: live[member] for member in _ACTION if member in live}
    for member in _TIMES:
        text = str(declared.get(member, "")).replace("Z", "+00:00")
        if member in live and text and datetime.fromisoformat(text).timestamp() == live[member]:
            found[member] = declared[member]
    return found


def _identity(target_id: str) -> dict[str, str]:
    parts = target_id.split("|")
    if len(parts) != len(_IDENTITY):
        raise ServiceError("ValidationException", f"{target_id} is not the Ref of a scalable target")
    return dict(zip(_IDENTITY, parts, strict=True))


def _delete(service: JsonService, request: ResourceRequest, operation: str, parameters: dict[str, Any]) -> None:
    try:
        service.call(request.context, operation, parameters)
    except ServiceError as error:
        if error.code != "ObjectNotFoundException":
            raise
