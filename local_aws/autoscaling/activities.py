"""Scaling activities: what was scaled, why, and the result.

https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-scaling-activities.html
"""

import logging
import time
import uuid
from typing import Any

from local_aws.autoscaling.targets import PAGE_SIZE, key, own_token
from local_aws.framework.api import Operation, RequestContext
from local_aws.framework.disk import DiskFull
from local_aws.framework.listing import page_by_name, page_newest
from local_aws.framework.store import Conditions, Document, Scope, Store

_IDENTITY = ("ServiceNamespace", "ResourceId", "ScalableDimension")
# "from the previous six weeks"
# https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalingActivities.html
_KEPT_SECONDS = 6 * 7 * 24 * 3600
# How many older ones go, at most, when one is written.
_DROPPED = 10

# What is known of each target's activities.
_ByTarget = dict[tuple[Scope, str], Document]

_log = logging.getLogger(__name__)


class ScalingActivities:
    """Keeps the activities, and describes them.

    The scaler asks each minute for each alarm, so what it asks for is in memory; a request reads its page only.

    :param store: where they are kept
    """

    def __init__(self, store: Store) -> None:
        self._kept = store.collection("scaling_activities")
        # Used by the scaler's thread only, as the two below: what is being scaled, also for an earlier process.
        self._under_way: dict[str, tuple[Scope, Document]] = {}
        self._last: _ByTarget = {}
        self._last_scaling: _ByTarget = {}
        since = time.time() - _KEPT_SECONDS
        former: list[tuple[Scope, str, Document]] = []
        kept = list(self._kept.everywhere())
        names = {(scope, name) for scope, name, _ in kept}
        for scope, name, activity in kept:
            # An earlier version's has none.
            activity["CreationTime"] = activity["StartTime"]
            own = _name(activity)
            if activity["StartTime"] < since or name != own:
                former.append((scope, name, activity))
            # One that was taken over, but that there was no space to drop, may have ended since.
            if activity["StartTime"] >= since and (name == own or (scope, own) not in names):
                self._note(scope, activity)
                if activity["StatusCode"] == "InProgress":
                    self._under_way[activity["ActivityId"]] = scope, activity
        try:
            self._take_over(former, since)
        except DiskFull:
            _log.warning("There is no space to take over an earlier version's scaling activities; a later start does")

    def _take_over(self, former: list[tuple[Scope, str, Document]], since: float) -> None:
        """Drop what is too old, and rename what an earlier version named by its id.

        :raises DiskFull: there is no space
        """
        for scope, name, activity in former:
            if activity["StartTime"] >= since:
                self._kept.create(scope, _name(activity), activity)
            self._kept.delete(scope, name)

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
        self._put(scope, activity)
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
        self._put(scope, ended)
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
        last = self._last.get((scope, key(target)))
        if not last or last.get("NotScaledReasons") != [reason] or last["Cause"] != cause:
            activity = _activity(target, "Attempting to scale due to alarm triggered", cause)
            unscaled = {**activity, "NotScaledReasons": [reason]}
            self.end(scope, unscaled, "Unfulfilled", f"Not scaled: {reason['Code']}.")

    def under_way(self) -> list[tuple[Scope, Document]]:
        """Return scope and activity of what is being scaled in all accounts and regions."""
        return list(self._under_way.values())

    def last_scaling(self, scope: Scope, target: Document) -> Document | None:
        """Return the last activity that changed a target's capacity.

        :param scope: account and region
        :param target: the target
        :returns: None if there is none
        """
        return self._last_scaling.get((scope, key(target)))

    def _put(self, scope: Scope, activity: Document) -> None:
        self._kept.put(scope, _name(activity), activity)
        self._note(scope, activity)
        since = time.time() - _KEPT_SECONDS
        too_old: Conditions = [("created < ?", since)]
        oldest = self._kept.page(scope, _DROPPED, None, by="created, name", descending=False, conditions=too_old)
        for name, old in oldest:
            if old["StartTime"] >= since:
                # An earlier version's, which no start has had the space to take over.
                continue
            self._kept.delete(scope, name)
            for known in (self._last, self._last_scaling):
                if known.get((scope, key(old)), {}).get("ActivityId") == old["ActivityId"]:
                    del known[scope, key(old)]

    def _note(self, scope: Scope, activity: Document) -> None:
        """Remember an activity if none of its target began later."""
        scaled = activity["StatusCode"] == "Successful" and "ToCapacity" in activity
        for known in (self._last, self._last_scaling) if scaled else (self._last,):
            if activity["StartTime"] >= known.get((scope, key(activity)), activity)["StartTime"]:
                known[scope, key(activity)] = activity

    def _describe(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        wanted: Conditions = [
            (f"json_extract(body, '$.{member}') = ?", parameters[member])
            for member in _IDENTITY
            if member in parameters
        ]
        if not parameters.get("IncludeNotScaledActivities", False):
            wanted.append(("ifnull(json_type(body, '$.NotScaledReasons'), '') = ?", ""))
        size, token = min(parameters.get("MaxResults", PAGE_SIZE), PAGE_SIZE), parameters.get("NextToken")
        # The newest first.
        with own_token():
            if "ResourceId" in parameters:
                under = f"{parameters['ResourceId']}|"
                page, token = page_by_name(
                    self._kept, context, size, token, under=under, descending=True, conditions=wanted
                )
            else:
                page, token = page_newest(self._kept, context, size, token, descending=True, conditions=wanted)
        return {"ScalingActivities": [activity for _, activity in page], "NextToken": token}


def _name(activity: Document) -> str:
    """Name a document so that those of a target follow one another, by time."""
    return f"{key(activity)}|{activity['StartTime']:017.6f}|{activity['ActivityId']}"


def _activity(target: Document, description: str, cause: str) -> Document:
    now = time.time()
    return {
        **{member: target[member] for member in _IDENTITY},
        "ActivityId": str(uuid.uuid4()),
        "Description": description,
        "Cause": cause,
        "StartTime": now,
        # By this the store orders documents; the API has no such member.
        "CreationTime": now,
        "StatusCode": "InProgress",
    }
