"""Stacks, change sets and resources of CloudFormation as dataclasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from slipway.states import StackStatus

# Only these texts tell a change set without changes from a broken one.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets-view.html
_EMPTY_TEXTS = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True)
class Stack:
    """One stack as DescribeStacks shows it.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html
    """

    name: str
    stack_id: str
    status: StackStatus
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Read one of the stacks that DescribeStacks answered."""
        return cls(
            name=found["StackName"],
            stack_id=found["StackId"],
            status=StackStatus(found["StackStatus"]),
            reason=found.get("StackStatusReason", ""),
            parameters={item["ParameterKey"]: item.get("ParameterValue", "") for item in found.get("Parameters", [])},
            outputs={item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])},
            tags={item["Key"]: item["Value"] for item in found.get("Tags", [])},
        )


@dataclass(frozen=True)
class ChangeSet:
    """One change set as DescribeChangeSet shows it.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeChangeSet.html
    """

    name: str
    stack_id: str
    status: str
    execution_status: str
    reason: str = ""

    @classmethod
    def of(cls, name: str, found: Mapping[str, Any]) -> Self:
        """Read what DescribeChangeSet answered."""
        return cls(
            name=name,
            stack_id=found["StackId"],
            status=found["Status"],
            execution_status=found.get("ExecutionStatus", ""),
            reason=found.get("StatusReason", ""),
        )

    @property
    def being_made(self) -> bool:
        """Whether CloudFormation still computes the changes."""
        return self.status in ("CREATE_PENDING", "CREATE_IN_PROGRESS")

    @property
    def executable(self) -> bool:
        """Whether ExecuteChangeSet would take it."""
        return self.execution_status == "AVAILABLE"

    @property
    def executing(self) -> bool:
        """Whether it is being executed now."""
        return self.execution_status == "EXECUTE_IN_PROGRESS"

    @property
    def executed(self) -> bool:
        """Whether it was executed; its name stays taken."""
        return self.execution_status in ("EXECUTE_COMPLETE", "EXECUTE_FAILED")

    @property
    def empty(self) -> bool:
        """Whether it failed because there is nothing to change."""
        return self.status == "FAILED" and any(text in self.reason for text in _EMPTY_TEXTS)


@dataclass(frozen=True)
class StackResource:
    """One resource of a stack; ``reason`` is CloudFormation's for a failure."""

    logical_id: str
    type: str
    status: str
    physical_id: str = ""
    reason: str = ""

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Read one of a stack's resources, or an event about one."""
        return cls(
            logical_id=item["LogicalResourceId"],
            type=item["ResourceType"],
            status=item["ResourceStatus"],
            physical_id=item.get("PhysicalResourceId", ""),
            reason=item.get("ResourceStatusReason", ""),
        )

    def __str__(self) -> str:
        text = f"{self.logical_id} ({self.type}) {self.status}"
        return f"{text}: {self.reason}" if self.reason else text


@dataclass(frozen=True)
class ChangeSetRequest:
    """What one change set asks for.

    :param create: True for a stack that is missing or under review
    :param role_arn: the role CloudFormation acts as
    :param template_bucket: where CloudFormation reads the template
    :param template_key: its key there, which has the digest of its content
    :param revert_drift: whether to bring resources back that were changed or deleted outside CloudFormation
    """

    stack_name: str
    name: str
    create: bool
    template_bucket: str
    template_key: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    capabilities: Sequence[str] = ()
    role_arn: str | None = None
    revert_drift: bool = False
