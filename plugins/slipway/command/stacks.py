"""The set-up stacks of an account: changes to them, shown before they are made.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.command.aws import Aws
from slipway.command.errors import CommandError

ACCOUNT_STACK, IMAGES_STACK, LABS_STACK = "slipway-bootstrap", "slipway-images", "slipway-labs"
POLL_SECONDS = 1.0
# How CloudFormation says that a change set would change nothing.
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
# After a creation that failed, a stack can only be deleted.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
_NEVER_MADE = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
_STARTS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
_ADMIN_FIX = "use credentials that may create IAM roles; for the local system: source .slipway/admin-env"


@dataclass(frozen=True)
class ChangeSet:
    """What would change in a stack.

    :param is_new: whether the stack would be made
    :param changes: action, logical id, type and replacement of each resource
    """

    stack: str
    name: str
    is_new: bool
    changes: list[list[str]] = field(default_factory=list)


class Stacks:
    """Changes to stacks, with the person's own credentials."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._client = aws.client("cloudformation")

    def parameters(self, stack: str) -> dict[str, str] | None:
        """Return a stack's parameters; None if there is no such stack, or nothing of it was made."""
        found = self._described(stack)
        if found is None or found["StackStatus"] in ("REVIEW_IN_PROGRESS", *_NEVER_MADE):
            return None
        return {item["ParameterKey"]: item.get("ParameterValue", "") for item in found.get("Parameters", [])}

    def why_never_made(self, stack: str) -> str | None:
        """Return why the creation of a stack failed, if nothing else is there of it; None for any other stack."""
        found = self._described(stack)
        if found is None or found["StackStatus"] not in _NEVER_MADE:
            return None
        with self._aws.calling("The stack cannot be looked at", stack):
            return f"{found['StackStatus']}, {self._reason(stack)}"

    def remove(self, stack: str) -> None:
        """Delete a stack, and wait for its end.

        :raises CommandError: when CloudFormation cannot
        """
        with self._aws.calling("The stack cannot be deleted", stack, denied=_ADMIN_FIX):
            self._client.delete_stack(StackName=stack)
            while (status := self._status(stack)) == "DELETE_IN_PROGRESS":
                time.sleep(POLL_SECONDS)
            if status not in ("gone", "DELETE_COMPLETE"):
                raise CommandError(
                    "The stack was not deleted",
                    where=stack,
                    why=f"it is {status}; {self._reason(stack)}",
                    fix="delete it in CloudFormation's console, then run slipway bootstrap again",
                )

    def prepare(self, stack: str, template: Path, wanted: Mapping[str, str | None]) -> ChangeSet | None:
        """Ask CloudFormation what would change.

        :param stack: the stack's name
        :param template: its template
        :param wanted: parameters; None keeps a value, which at first is the template's default
        :returns: None if nothing would change
        :raises CommandError: when CloudFormation refuses
        """
        body = template.read_text(encoding="utf-8")
        with self._aws.calling("The stack cannot be changed", stack, denied=_ADMIN_FIX):
            known = self.parameters(stack)
            summary = self._client.get_template_summary(TemplateBody=body)
            # A value can be kept only when the stack has it and the template still declares it.
            declared = {item["ParameterKey"] for item in summary["Parameters"]}
            given = [{"ParameterKey": key, "ParameterValue": text} for key, text in wanted.items() if text is not None]
            kept = sorted(key for key in declared & set(known or {}) if wanted.get(key) is None)
            name = f"slipway-{time.time_ns()}"
            self._client.create_change_set(
                StackName=stack,
                ChangeSetName=name,
                ChangeSetType="CREATE" if known is None else "UPDATE",
                TemplateBody=body,
                Parameters=[*given, *({"ParameterKey": key, "UsePreviousValue": True} for key in kept)],
                Capabilities=["CAPABILITY_NAMED_IAM"],
            )
            made = self._made(stack, name)
            found = ChangeSet(stack, name, known is None, [_change(one) for one in made.get("Changes", [])])
            if made["Status"] == "FAILED":
                reason = made.get("StatusReason", "")
                self.discard(found)
                if any(text in reason for text in NO_CHANGES):
                    return None
                raise CommandError(
                    "CloudFormation refuses the change", where=stack, why=reason, fix="correct what the reason names"
                )
            return found

    def execute(self, change: ChangeSet) -> None:
        """Make a change, and wait for its end.

        :raises CommandError: with the reason of the first resource that failed
        """
        with self._aws.calling("The stack cannot be changed", change.stack, denied=_ADMIN_FIX):
            self._client.execute_change_set(StackName=change.stack, ChangeSetName=change.name)
            while (status := self._status(change.stack)).endswith(("_IN_PROGRESS", "_PENDING")):
                time.sleep(POLL_SECONDS)
            if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                raise CommandError(
                    "The stack was not changed",
                    where=change.stack,
                    why=f"it is {status}; {self._reason(change.stack)}",
                    fix="correct what the reason names, then run slipway bootstrap again",
                )

    def discard(self, change: ChangeSet) -> None:
        """Remove a change that nobody wants, and the empty stack that a new one has made."""
        with self._aws.calling("The change set cannot be removed", change.stack, denied=_ADMIN_FIX):
            self._client.delete_change_set(StackName=change.stack, ChangeSetName=change.name)
            if change.is_new:
                self._client.delete_stack(StackName=change.stack)

    def deploy(self, stack: str, template: Path, wanted: Mapping[str, str | None]) -> None:
        """Make or change a stack without asking anybody; one whose creation failed before is deleted first.

        :raises CommandError: when CloudFormation refuses or fails
        """
        if self.why_never_made(stack):
            self.remove(stack)
        if change := self.prepare(stack, template, wanted):
            self.execute(change)

    def _made(self, stack: str, name: str) -> dict[str, Any]:
        while True:
            made: dict[str, Any] = self._client.describe_change_set(StackName=stack, ChangeSetName=name)
            if made["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                return made
            time.sleep(POLL_SECONDS)

    def _described(self, stack: str) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        with self._aws.calling("The stack cannot be looked at", stack):
            try:
                found: dict[str, Any] = self._client.describe_stacks(StackName=stack)["Stacks"][0]
            except ClientError as error:
                if "does not exist" in str(error):
                    return None
                raise
        return found

    def _status(self, stack: str) -> str:
        found = self._described(stack)
        return str(found["StackStatus"]) if found else "gone"

    def _reason(self, stack: str) -> str:
        """Return what failed first in the stack's last operation.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackEvents.html
        """
        cause = "no reason was given"
        # The newest event comes first.
        for event in self._client.describe_stack_events(StackName=stack)["StackEvents"]:
            of_stack = event["PhysicalResourceId"] == event["StackId"]
            if of_stack and event["ResourceStatus"] in _STARTS:
                break
            if event["ResourceStatus"].endswith("_FAILED"):
                why = event.get("ResourceStatusReason", "no reason was given")
                cause = self._not_valid(stack) or why if of_stack else f"{event['LogicalResourceId']}: {why}"
        return cause

    def _not_valid(self, stack: str) -> str:
        """Return what CloudFormation found wrong before it changed any resource, which the stack's events do not show.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeEvents.html
        """
        events = self._client.describe_events(StackName=stack, Filters={"FailedEvents": True})["OperationEvents"]
        return "; ".join(
            f"{event['LogicalResourceId']}: {event.get('ValidationStatusReason', '')}"
            for event in events
            if event["EventType"] == "VALIDATION_ERROR" and event["OperationId"] == events[0]["OperationId"]
        )


def _change(one: Mapping[str, Any]) -> list[str]:
    resource = one["ResourceChange"]
    replaced = {"True": "replaced", "Conditional": "perhaps replaced"}.get(resource.get("Replacement", ""), "")
    return [resource["Action"], resource["LogicalResourceId"], resource["ResourceType"], replaced]
