"""Drift detection of stacks: ministack's comparison, made asynchronous, with readers of the added resource types.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local_aws.framework.live_properties import as_declared
from local_aws.framework.store import Document

PRIVATE_PARTS = {
    "ministack.services.cloudformation": ("_stacks",),
    "ministack.services.cloudformation.drift": (
        "DRIFT_DETECTABLE_STATUSES",
        "_DRIFT_READERS",
        "detect_resource_drift",
        "record_resource_drift",
        "supports_drift",
    ),
    "ministack.services.cloudformation.handlers": (
        "_ACTION_HANDLERS",
        "_DRIFT_DETECTIONS_KEPT",
        "_drift_target",
        "_error",
        "_extract_string_members",
        "_p",
        "_xml",
    ),
}

# Physical id and declared properties; returns the live properties, or None for a resource that is gone.
Reader = Callable[[str, dict[str, Any]], dict[str, Any] | None]
_Answer = tuple[int, dict[str, str], bytes]

_IN_PROGRESS = "DETECTION_IN_PROGRESS"
_FAILED = "DETECTION_FAILED"
_INTERRUPTED = "The local AWS was stopped during this detection."
_OVERTAKEN = "The stack was changed during this detection."

_log = logging.getLogger(__name__)


class DriftDetection:
    """The drift of stacks and their resources.

    :param modules: ministack's modules by name
    :param save: makes CloudFormation's state durable
    :param pace_seconds: how long a detection stays in progress beyond the work itself
    """

    def __init__(self, modules: Mapping[str, Any], save: Callable[[], None], pace_seconds: float) -> None:
        self._state = modules["ministack.services.cloudformation"]
        self._drift = modules["ministack.services.cloudformation.drift"]
        self._handlers = modules["ministack.services.cloudformation.handlers"]
        self._save = save
        self._pace_seconds = pace_seconds
        # By detection id; a task without a reference could be collected.
        self._running: dict[str, asyncio.Task[None]] = {}
        actions = self._handlers._ACTION_HANDLERS
        self._describe_status = actions["DescribeStackDriftDetectionStatus"]
        actions["DetectStackDrift"] = self._begin
        actions["DescribeStackDriftDetectionStatus"] = self._status

    def add_reader(self, type_name: str, read: Reader, compared: frozenset[str]) -> None:
        """Let the resources of a type be checked; those of a type without a reader stay NOT_CHECKED.

        :param type_name: such as ``AWS::CloudWatch::Alarm``
        :param read: reads the live properties
        :param compared: the properties that can be compared
        """

        def current(physical_id: str, declared: dict[str, Any]) -> dict[str, Any] | None:
            live = read(physical_id, declared)
            # Tags are compared as a whole, with those of the stack.
            return None if live is None else {**live, **as_declared(_without_tags(declared), live)}

        self._drift._DRIFT_READERS[type_name] = (current, compared)

    def _begin(self, params: dict[str, Any]) -> _Answer:
        """Answer DetectStackDrift; a stack has one detection at a time.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/detect-drift-stack.html
        """
        host = self._handlers
        stack, error = host._drift_target(host._p(params, "StackName"))
        if error:
            return error
        resources = stack.get("_resources", {})
        wanted = host._extract_string_members(params, "LogicalResourceIds") or list(resources)
        if unknown := sorted(set(wanted) - set(resources)):
            return self._refusal(f"Resource(s) [{', '.join(unknown)}] do not exist in stack [{stack['StackName']}]")
        detections = stack.setdefault("_drift_detections", {})
        if self._running.keys() & detections.keys():
            return self._refusal(f"Drift detection is already in progress for stack [{stack['StackId']}].")
        detection = {
            "StackId": stack["StackId"],
            "StackDriftDetectionId": str(uuid.uuid4()),
            "StackDriftStatus": (stack.get("DriftInformation") or {}).get("StackDriftStatus", "NOT_CHECKED"),
            "DetectionStatus": _IN_PROGRESS,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        name = detection["StackDriftDetectionId"]
        detections[name] = detection
        while len(detections) > host._DRIFT_DETECTIONS_KEPT:
            detections.pop(next(iter(detections)))
        self._running[name] = asyncio.get_running_loop().create_task(self._carry_out(stack, wanted, detection))
        answer = f"<StackDriftDetectionId>{name}</StackDriftDetectionId>"
        return host._xml(200, "DetectStackDriftResponse", f"<DetectStackDriftResult>{answer}</DetectStackDriftResult>")

    def _refusal(self, text: str) -> _Answer:
        return self._handlers._error("ValidationError", text)

    async def _carry_out(self, stack: Document, wanted: list[str], detection: Document) -> None:
        try:
            await asyncio.sleep(self._pace_seconds)
            await self._detect(stack, wanted, detection)
        except Exception:
            _log.exception("The drift detection of stack %s failed", stack["StackName"])
            detection |= {"DetectionStatus": _FAILED, "DetectionStatusReason": "The local AWS failed."}
        finally:
            del self._running[detection["StackDriftDetectionId"]]
        self._save()

    async def _detect(self, stack: Document, wanted: list[str], detection: Document) -> None:
        before, records = _version(stack), dict(stack.get("_resources", {}))
        found: dict[str, Document] = {}
        for name in wanted:
            if name in records and self._drift.supports_drift(records[name].get("ResourceType", "")):
                found[name] = await asyncio.to_thread(
                    self._drift.detect_resource_drift, stack, name, records[name], detection["Timestamp"]
                )
        if _version(stack) != before:
            detection |= {"DetectionStatus": _FAILED, "DetectionStatusReason": _OVERTAKEN}
            return
        for name, drift in found.items():
            self._drift.record_resource_drift(records[name], drift)
        statuses = {name: drift["StackResourceDriftStatus"] for name, drift in found.items()}
        drifted = [name for name, status in statuses.items() if status in ("MODIFIED", "DELETED")]
        unknown = sorted(name for name, status in statuses.items() if status == "UNKNOWN")
        detection["StackDriftStatus"] = "DRIFTED" if drifted else "UNKNOWN" if unknown else "IN_SYNC"
        if unknown:
            reason = f"Failed to detect drift on resources [{', '.join(unknown)}]"
            detection |= {"DetectionStatus": _FAILED, "DetectionStatusReason": reason}
        else:
            detection |= {"DetectionStatus": "DETECTION_COMPLETE", "DriftedStackResourceCount": len(drifted)}
        stack["DriftInformation"] = {
            "StackDriftStatus": detection["StackDriftStatus"],
            "LastCheckTimestamp": detection["Timestamp"],
        }

    def _status(self, params: dict[str, Any]) -> _Answer:
        """Answer DescribeStackDriftDetectionStatus; a detection of an earlier process has failed."""
        name = self._handlers._p(params, "StackDriftDetectionId")
        for stack_name, stack in self._state._stacks.items():
            detection = (stack.get("_drift_detections") or {}).get(name, {})
            if detection.get("DetectionStatus") == _IN_PROGRESS and name not in self._running:
                # By its key, so that the change is saved.
                detection = self._state._stacks[stack_name]["_drift_detections"][name]
                detection |= {"DetectionStatus": _FAILED, "DetectionStatusReason": _INTERRUPTED}
        return self._describe_status(params)


def forget_drift(stack: Document) -> None:
    """Make a stack and its resources NOT_CHECKED, because an operation changes them.

    :param stack: ministack's record
    """
    stack.pop("DriftInformation", None)
    for record in stack.get("_resources", {}).values():
        record.pop("DriftInformation", None)
        record.pop("_drift", None)


def _version(stack: Document) -> tuple[Any, ...]:
    return stack.get("StackStatus"), stack.get("LastUpdatedTime")


def _without_tags(declared: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in declared.items() if name != "Tags"}
