"""CloudFormation's drift detection: how a stack's resources differ from its template."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from botocore.exceptions import ClientError

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.session import AwsHook
from slipway.errors import AwsError

_DELETED = "DELETED"
_DIFFERENT = ("MODIFIED", _DELETED)
_ADDED = "ADD"
_RUNNING = "DETECTION_IN_PROGRESS"
# CloudFormation detects a stack's drift once at a time; only this text tells its refusal.
_BUSY_TEXT = "already in progress"
# Between two looks at a detection: it takes seconds, and may take minutes. Their number bounds the calls. A task holds
# its worker slot meanwhile, so the first looks come soon.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DetectStackDrift.html
PAUSES_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0)


@dataclass(frozen=True)
class ResourceDrift:
    """A resource that differs from its stack's template.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackResourceDrift.html

    :param deleted: whether it was deleted outside CloudFormation
    :param properties: what the template says and what is there, by the property's path, such as ``/Threshold``; without
        what was added to what the template says
    """

    logical_id: str
    type: str
    physical_id: str = ""
    deleted: bool = False
    properties: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Read one of the drifts that DescribeStackResourceDrifts answered."""
        return cls(
            logical_id=found["LogicalResourceId"],
            type=found["ResourceType"],
            physical_id=found.get("PhysicalResourceId", ""),
            deleted=found["StackResourceDriftStatus"] == _DELETED,
            properties={
                one["PropertyPath"]: (one["ExpectedValue"], one["ActualValue"])
                for one in found.get("PropertyDifferences", [])
                if one["DifferenceType"] != _ADDED
            },
        )


class StackDriftHook(AwsHook):
    """Drift detection of stacks.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/detect-drift-stack.html
    """

    service = "cloudformation"

    def wait(
        self, stack_id: str, detection: str | None, pauses_seconds: Sequence[float] = PAUSES_SECONDS
    ) -> list[ResourceDrift]:
        """Wait for the result of a detection.

        CloudFormation leaves out the types that it cannot read.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-import-supported-resources.html

        :param stack_id: the StackId of a stack that is not changing
        :param detection: what `begin` returned; None has one begun when the one that runs has ended
        :param pauses_seconds: between two looks
        :returns: the resources that differ
        :raises slipway.errors.AwsError: when a call fails, or CloudFormation takes too long
        """
        for pause_seconds in (*pauses_seconds, None):
            detection = detection or self.begin(stack_id)
            if detection and not self._runs(stack_id, detection):
                return self._differing(stack_id)
            if pause_seconds is not None:
                time.sleep(pause_seconds)
        raise AwsError(
            "CloudFormation has not finished its drift detection",
            resource=stack_id,
            why=f"it has been asked for {sum(pauses_seconds):.0f} s",
            fix="clear this task: it asks again",
        )

    @patient
    def begin(self, stack_id: str) -> str | None:
        """Have CloudFormation compare a stack's resources with its template.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DetectStackDrift.html

        :param stack_id: the StackId of a stack that is not changing
        :returns: the detection's id; None while another one runs, such as one whose id was lost
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("detect the drift of the stack", stack_id):
            try:
                return self.conn.detect_stack_drift(StackName=stack_id)["StackDriftDetectionId"]
            except ClientError as error:
                if _BUSY_TEXT in str(error):
                    return None
                raise

    @patient
    def _runs(self, stack_id: str, detection: str) -> bool:
        """Return whether a detection runs; a failed one has what CloudFormation could read.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackDriftDetectionStatus.html
        """
        with aws_call("follow the drift detection of the stack", stack_id):
            found = self.conn.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        if reason := found.get("DetectionStatusReason"):
            self.log.warning("The drift detection of %s is %s: %s", stack_id, found["DetectionStatus"], reason)
        return found["DetectionStatus"] == _RUNNING

    @patient
    def _differing(self, stack_id: str) -> list[ResourceDrift]:
        """Return the resources that differ, by the last detection.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackResourceDrifts.html
        """
        drifts: list[ResourceDrift] = []
        page: dict[str, str] = {}
        with aws_call("read the drift of the stack", stack_id):
            while True:
                answer = self.conn.describe_stack_resource_drifts(
                    StackName=stack_id, StackResourceDriftStatusFilters=list(_DIFFERENT), **page
                )
                drifts += map(ResourceDrift.of, answer["StackResourceDrifts"])
                if "NextToken" not in answer:
                    return drifts
                page = {"NextToken": answer["NextToken"]}
