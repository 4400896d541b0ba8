"""Scheduled actions: new bounds for a scalable target at given times.

https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-scheduled-scaling.html
"""

import time
import uuid
from typing import Any

from local_aws.autoscaling.activities import ScalingActivities
from local_aws.autoscaling.schedules import Rate, Schedule, parse
from local_aws.autoscaling.targets import ScalableTargets, describe, key, page_of, same
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.store import Document, Scope, Store
from local_aws.settings import Clock

_IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_BOUNDS = ("MinCapacity", "MaxCapacity")


class ScheduledActions:
    """The operations on scheduled actions, and their execution.

    :param store: where they are kept
    :param targets: the targets they are of
    :param activities: where executions are recorded
    :param clock: how fast rates pass; calendar times are real
    """

    def __init__(self, store: Store, targets: ScalableTargets, activities: ScalingActivities, clock: Clock) -> None:
        self._kept = store.collection("scheduled_actions")
        self._targets = targets
        self._activities = activities
        self._clock = clock

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "PutScheduledAction": self._put,
            "DescribeScheduledActions": self._describe,
            "DeleteScheduledAction": self._delete,
        }

    def forget(self, scope: Scope, target: Document) -> None:
        """Delete the actions of a deregistered target.

        :param scope: account and region
        :param target: the target that is gone
        """
        for action in self._kept.list(scope):
            if same(target, action, *_IDENTITY):
                self._kept.delete(scope, _action_key(action))

    def perform(self, now: float) -> None:
        """Execute the actions that are due.

        :param now: epoch seconds
        """
        for scope, name, action in self._kept.everywhere():
            due = action.get("NextTime")
            if due is None or due > now:
                continue
            # An action that was missed while the local AWS was down is executed once.
            action["NextTime"] = self._next(action, now)
            self._kept.put(scope, name, action)
            self._perform(scope, action)

    def _perform(self, scope: Scope, action: Document) -> None:
        target = self._targets.find(scope, action)
        if target is None or target["SuspendedState"].get("ScheduledScalingSuspended"):
            return
        bounds = {**{member: target[member] for member in _BOUNDS}, **action["ScalableTargetAction"]}
        words = f"min capacity to {bounds['MinCapacity']} and max capacity to {bounds['MaxCapacity']}"
        cause = f"scheduled action name {action['ScheduledActionName']} was triggered"
        try:
            self._targets.set_bounds(scope, target, bounds)
            status, message = "Successful", f"Successfully set {words}"
        except ServiceError as error:
            status, message = "Failed", f"Failed to set {words}. Reason: {error.message}"
        self._activities.done(scope, target, f"Setting {words}", cause, status, message)

    def _put(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        self._targets.get(context, parameters)
        old = self._kept.get(context, _action_key(parameters))
        action = {**(old or _new(context, parameters)), **parameters}
        if "Schedule" not in action:
            raise ServiceError("ValidationException", "Schedule is required for a new scheduled action.")
        bounds = action.get("ScalableTargetAction", {})
        if not bounds:
            raise ServiceError("ValidationException", "At least one of MinCapacity and MaxCapacity must be specified.")
        if bounds.get("MinCapacity", 0) > bounds.get("MaxCapacity", float("inf")):
            raise ServiceError("ValidationException", "Maximum capacity cannot be less than minimum capacity")
        action["NextTime"] = self._next(action, time.time())
        self._kept.put(context, _action_key(parameters), action)
        return {}

    def _next(self, action: Document, now: float) -> float | None:
        try:
            schedule: Schedule = parse(action["Schedule"], action.get("Timezone"))
        except ValueError as error:
            raise ServiceError("ValidationException", f"Invalid schedule: {error}") from error
        if isinstance(schedule, Rate):
            schedule = Rate(self._clock.real_seconds(schedule.seconds))
        start = action["StartTime"] if "StartTime" in action else action["CreationTime"]
        found = schedule.next(max(now, start), start)
        return None if found is None or found > action.get("EndTime", found) else found

    def _describe(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        wanted = parameters.get("ScheduledActionNames")
        found = [
            action
            for action in self._kept.list(context)
            if same(parameters, action, *_IDENTITY) and (not wanted or action["ScheduledActionName"] in wanted)
        ]
        page, token = page_of(found, parameters, lambda action: (_action_key(action),))
        return {"ScheduledActions": page, "NextToken": token}

    def _delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        if not self._kept.delete(context, _action_key(parameters)):
            raise ServiceError("ObjectNotFoundException", f"No scheduled action found for {describe(parameters)}")
        return {}


def _action_key(parameters: dict[str, Any]) -> str:
    return f"{key(parameters)}|{parameters['ScheduledActionName']}"


def _new(context: RequestContext, parameters: dict[str, Any]) -> Document:
    resource = f"resource/{parameters['ServiceNamespace']}/{parameters['ResourceId']}"
    name = parameters["ScheduledActionName"]
    return {
        "CreationTime": time.time(),
        "ScheduledActionARN": context.arn(
            "autoscaling", f"scheduledAction:{uuid.uuid4()}:{resource}:scheduledActionName/{name}"
        ),
    }
