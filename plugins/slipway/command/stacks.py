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

ACCOUNT_STACK = "slipway-bootstrap"
_POLL_SECONDS = 1.0
# How CloudFormation says that a change set would change nothing.
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
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
        """Return a stack's parameters; None if there is no such stack."""
        found = self._described(stack)
        if found is None or found["StackStatus"] == "REVIEW_IN_PROGRESS":
            return None
        return {item["ParameterKey"]: item.get("ParameterValue", "") for item in found.get("Parameters", [])}

    def prepare(self, stack: str, template: Path, wanted: Mapping[str, str | None]) -> ChangeSet | None:
        """Ask CloudFormation what would change.

        :param stack: the stack's name
        :param template: its template
        :param wanted: parameters; None keeps a value, which at first is the template's default
        :returns: None if nothing would change
        :raises CommandError: when CloudFormation refuses
        """
        body = template.read_text(encoding="utf-8")
        with self._aws.calling("The stack cannot be changed", stack, fix=_ADMIN_FIX):
            known = self.parameters(stack)
            summary = self._client.get_template_summary(TemplateBody=body)
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
                if any(text in reason for text in _NO_CHANGES):
                    return None
                raise CommandError(
                    "CloudFormation refuses the change", where=stack, why=reason, fix="correct what the reason names"
                )
            return found

    def execute(self, change: ChangeSet) -> None:
        """Make a change, and wait for its end.

        :raises CommandError: with the reason of the first resource that failed
        """
        with self._aws.calling("The stack cannot be changed", change.stack, fix=_ADMIN_FIX):
            self._client.execute_change_set(StackName=change.stack, ChangeSetName=change.name)
            while (status := self._status(change.stack)).endswith(("_IN_PROGRESS", "_PENDING")):
                time.sleep(_POLL_SECONDS)
            if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                raise CommandError(
                    "The stack was not changed",
                    where=change.stack,
                    why=f"it is {status}; {self._reason(change.stack)}",
                    fix="correct what the reason names, then run slipway bootstrap again",
                )

    def discard(self, change: ChangeSet) -> None:
        """Remove a change that nobody wants, and the empty stack that a new one has made."""
        with self._aws.calling("The change set cannot be removed", change.stack, fix=_ADMIN_FIX):
            self._client.delete_change_set(StackName=change.stack, ChangeSetName=change.name)
            if change.is_new:
                self._client.delete_stack(StackName=change.stack)

    def _made(self, stack: str, name: str) -> dict[str, Any]:
        while True:
            made: dict[str, Any] = self._client.describe_change_set(StackName=stack, ChangeSetName=name)
            if made["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                return made
            time.sleep(_POLL_SECONDS)

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
        events = self._client.describe_stack_events(StackName=stack)["StackEvents"]
        failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
        if not failed:
            return "no reason was given"
        return f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', 'no reason was given')}"


def _change(one: Mapping[str, Any]) -> list[str]:
    resource = one["ResourceChange"]
    replaced = {"True": "replaced", "Conditional": "perhaps replaced"}.get(resource.get("Replacement", ""), "")
    return [resource["Action"], resource["LogicalResourceId"], resource["ResourceType"], replaced]
