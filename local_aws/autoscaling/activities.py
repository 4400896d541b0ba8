"""Scaling activities: what was scaled, why, and the result.

https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-scaling-activities.html
"""

import time
import uuid
from typing import Any

from local_aws.autoscaling.targets import page_of, same
from local_aws.framework.api import Operation, RequestContext
from local_aws.framework.store import Document, Scope, Store

_IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")
# "from the previous six weeks"
# https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalingActivities.html
_KEPT_SECONDS = 6 * 7 * 24 * 3600


class ScalingActivities:
    """Keeps the activities, and describes them.

    :param store: where they are kept
    """

    def __init__(self, store: Store) -> None:
        self._kept = store.collection("scaling_activities")
        # Used by the scaler's thread only: what is being scaled, also for an earlier process.
        self._under_way: dict[str, tuple[Scope, Document]] = {}
        for scope, name, activity in self._kept.everywhere():
            if activity["StartTime"] < time.time() - _KEPT_SECONDS:
                self._kept.delete(scope, name)
            elif activity["StatusCode"] == "InProgress":
                self._under_way[name] = scope, activity

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {"DescribeScalingActivities": self._describe}

    def begin(
        self, scope: Scope, target: Document, description: str, cause: str, before: int, capacity: int
    ) -> Document:
        """Record that a capacity is being changed.

        :param scope: account and region
        :param target: what is scaled
        :param description: what is done
        :param cause: why
        :param before: the capacity so far
        :param capacity: the capacity that is wanted
        :returns: the activity
        """
        # The capacities are for the next decision; the API has no such members.
        activity = {**_activity(target, description, cause), "FromCapacity": before, "ToCapacity": capacity}
        self._kept.put(scope, activity["ActivityId"], activity)
        self._under_way[activity["ActivityId"]] = scope, activity
        return activity

    def end(self, scope: Scope, activity: Document, status: str, message: str) -> None:
        """Record the result of an activity.

        :param scope: account and region
        :param activity: as begun
        :param status: Successful or Failed
        :param message: its StatusMessage
        """
        ended = {**activity, "StatusCode": status, "StatusMessage": message, "EndTime": time.time()}
        self._kept.put(scope, activity["ActivityId"], ended)
        self._under_way.pop(activity["ActivityId"], None)

    def done(self, scope: Scope, target: Document, description: str, cause: str, status: str, message: str) -> None:
        """Record an activity that ends at once.

        :param scope: account and region
        :param target: what it is about
        :param description: what is done
        :param cause: why
        :param status: Successful or Failed
        :param message: its StatusMessage
        """
        self.end(scope, _activity(target, description, cause), status, message)

    def not_scaled(self, scope: Scope, target: Document, cause: str, reason: Document) -> None:
        """Record that nothing was scaled, unless the last activity says so already.

        :param scope: account and region
        :param target: what was not scaled
        :param cause: why it was tried
        :param reason: NotScaledReason
        """
        last = self.of_target(scope, target)[-1:]
        if not last or last[0].get("NotScaledReasons") != [reason] or last[0]["Cause"] != cause:
            activity = _activity(target, "Attempting to scale due to alarm triggered", cause)
            unscaled = {**activity, "NotScaledReasons": [reason]}
            self.end(scope, unscaled, "Unfulfilled", f"Not scaled: {reason['Code']}.")

    def under_way(self) -> list[tuple[Scope, Document]]:
        """Return scope and activity of what is being scaled in all accounts and regions."""
        return list(self._under_way.values())

    def of_target(self, scope: Scope, target: Document) -> list[Document]:
        """Return a target's activities.

        :param scope: account and region
        :param target: the target
        :returns: the oldest first
        """
        found = [activity for activity in self._kept.list(scope) if same(target, activity, *_IDENTITY)]
        return sorted(found, key=lambda activity: activity["StartTime"])

    def _describe(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        unscaled = parameters.get("IncludeNotScaledActivities", False)
        found = [
            activity
            for activity in self._kept.list(context)
            if same(parameters, activity, *_IDENTITY) and (unscaled or "NotScaledReasons" not in activity)
        ]
        # The newest first.
        page, token = page_of(found, parameters, lambda activity: (-activity["StartTime"], activity["ActivityId"]))
        return {"ScalingActivities": page, "NextToken": token}


def _activity(target: Document, description: str, cause: str) -> Document:
    return {
        **{member: target[member] for member in _IDENTITY},
        "ActivityId": str(uuid.uuid4()),
        "Description": description,
        "Cause": cause,
        "StartTime": time.time(),
        "StatusCode": "InProgress",
    }
