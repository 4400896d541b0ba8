"""Make or adopt the change set of one change. Its name follows from its content, so each attempt finds the same one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.stacks import ChangeSet, ChangeSetRequest
from slipway.errors import StackFailed
from slipway.plan import ReleasePlan

_MAX_CHANGE_SETS = 99
_REVISION_CHARS = 12


def release_prefix(plan: ReleasePlan) -> str:
    """Return the prefix of the names of a release's change sets.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html

    :param plan: the release
    :returns: letters, digits and hyphens, a letter first
    """
    moment = "".join(character for character in plan.sequence[:19] if character.isdigit())
    return f"slipway-{plan.revision_id[:_REVISION_CHARS]}-{moment}"


def content_name(prefix: str, request: ChangeSetRequest) -> str:
    """Name a change set after its content.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html

    :param prefix: letters, digits and hyphens, a letter first
    :param request: the change; its name is ignored
    :returns: the prefix and eight digits of the content's hash
    """
    content = [
        [request.template_bucket, request.template_key],
        dict(request.parameters),
        dict(request.tags),
        list(request.capabilities),
        request.role_arn,
        request.create,
        *(["reverts drift"] if request.revert_drift else []),
    ]
    return f"{prefix}-{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]}"


def make_or_adopt(hook: CloudFormationHook, request: ChangeSetRequest) -> ChangeSet | None:
    """Adopt a change set of this content that can still be executed, or make one.

    :param hook: CloudFormation
    :param request: the change, named after its content
    :returns: the change set; None when the execution of another one deleted it at once
    :raises StackFailed: after too many attempts at one change
    """
    for name in _numbered(request.name):
        found = hook.describe_change_set(request.stack_name, name)
        if found and found.executed:
            continue
        if found and (found.being_made or found.executable or found.executing):
            hook.log.info("Adopting the change set %s", name)
            return found
        if found:
            hook.delete_change_set(request.stack_name, name)
        hook.create_change_set(replace(request, name=name))
        hook.log.info("Made the change set %s", name)
        return hook.describe_change_set(request.stack_name, name)
    raise StackFailed(
        "Too many attempts at one change",
        resource=request.stack_name,
        why=f"{_MAX_CHANGE_SETS} change sets of this content have been executed",
        fix="correct what the stack's events name, then upload a new version: its change sets have new names",
    )


def in_flight(hook: CloudFormationHook, request: ChangeSetRequest) -> str | None:
    """Find the change set of this content that is being executed.

    :param hook: CloudFormation
    :param request: the change, named after its content
    :returns: its name; None if the stack is executing another change
    """
    for name in _numbered(request.name):
        found = hook.describe_change_set(request.stack_name, name)
        if found is None:
            return None
        if found.executing:
            hook.log.info("Adopting the change set %s, which is being executed", name)
            return name
    return None


def _numbered(name: str) -> list[str]:
    """Return the names to try: a used change set may keep its name, so later attempts add a number."""
    return [name, *(f"{name}-{number}" for number in range(2, _MAX_CHANGE_SETS + 1))]
