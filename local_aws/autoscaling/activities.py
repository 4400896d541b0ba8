"""Scaling activities: what was scaled, why, and what came of it.

https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-scaling-activities.html
"""

import time
import uuid
from typing import Any

from local_aws.api import Operation, RequestContext
from local_aws.autoscaling.targets import page_of, same
from local_aws.store import Document, Scope, Store

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

    def operations(self) -> dict[str, Operation]:
        """Give the operations of the API.

        :returns: operation by name
        """
        return {"DescribeScalingActivities": self._describe}

    def begin(self, scope: Scope, target: Document, description: str, cause: str, **more: Any) -> Document:
        """Write that something is being scaled.

        :param scope: account and region
        :param target: what is scaled
        :param description: what is done
        :param cause: why
        :param more: members for ``of_target`` alone, such as FromCapacity and ToCapacity
        :returns: the activity
        """
        activity = {
            **{member: target[member] for member in _IDENTITY},
            "ActivityId": str(uuid.uuid4()),
            "Description": description,
            "Cause": cause,
            "StartTime": time.time(),
            "StatusCode": "InProgress",
            **more,
        }
        self._kept.put(scope, activity["ActivityId"], activity)
        return activity

    def end(self, scope: Scope, activity: Document, status: str, message: str) -> None:
        """Write what came of an activity.

        :param scope: account and region
        :param activity: as begun
        :param status: Successful or Failed
        :param message: its StatusMessage
        """
        ended = {**activity, "StatusCode": status, "StatusMessage": message, "EndTime": time.time()}
        self._kept.put(scope, activity["ActivityId"], ended)

    def not_scaled(self, scope: Scope, target: Document, cause: str, reason: Document) -> None:
        """Write that nothing was scaled, unless that was the last that happened.

        :param scope: account and region
        :param target: what was not scaled
        :param cause: why it was tried
        :param reason: NotScaledReason
        """
        last = self.of_target(scope, target)[-1:]
        if not last or last[0].get("NotScaledReasons") != [reason] or last[0]["Cause"] != cause:
            activity = self.begin(
                scope, target, "Attempting to scale due to alarm triggered", cause, NotScaledReasons=[reason]
            )
            self.end(scope, activity, "Unfulfilled", f"Not scaled: {reason['Code']}.")

    def of_target(self, scope: Scope, target: Document) -> list[Document]:
        """Give a target's activities.

        :param scope: account and region
        :param target: the target
        :returns: the oldest first
        """
        found = [activity for activity in self._kept.list(scope) if same(target, activity, *_IDENTITY)]
        return sorted(found, key=lambda activity: activity["StartTime"])

    def in_progress(self) -> list[tuple[Scope, Document]]:
        """Give what is being scaled in all accounts and regions, and drop what is too old.

        :returns: scope and activity
        """
        found = []
        for scope, name, activity in self._kept.everywhere():
            if activity["StatusCode"] == "InProgress":
                found.append((scope, activity))
            elif activity["StartTime"] < time.time() - _KEPT_SECONDS:
                self._kept.delete(scope, name)
        return found

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
