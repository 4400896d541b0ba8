"""The change set of one wanted change: named after its content, so that every attempt finds what another began."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.stacks import ChangeSet, ChangeSetRequest
from slipway.errors import StackFailed

_MAX_CHANGE_SETS = 99


def content_name(prefix: str, request: ChangeSetRequest) -> str:
    """Name a change set.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html

    :param prefix: letters, digits and hyphens, a letter first
    :param request: what it asks for; its own name does not count
    :returns: the prefix and eight digits of the content
    """
    content = [
        [request.template_bucket, request.template_key],
        dict(request.parameters),
        dict(request.tags),
        list(request.capabilities),
        request.role_arn,
        request.create,
    ]
    return f"{prefix}-{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]}"


def make_or_adopt(hook: CloudFormationHook, request: ChangeSetRequest) -> ChangeSet | None:
    """Find the change set of this content that is still of use, or make one.

    :param hook: CloudFormation
    :param request: what to change, named after its content
    :returns: None when another change set was executed in the moment this one was made
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
        why=f"{_MAX_CHANGE_SETS} change sets",
    )


def in_flight(hook: CloudFormationHook, request: ChangeSetRequest) -> str | None:
    """Find out whether it is this change that a stack in progress is going through.

    :param hook: CloudFormation
    :param request: what to change, named after its content
    :returns: the name of the change set being executed, or None if that is another's
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
    """A used change set may keep its name taken, so a further attempt at the same content counts on."""
    return [name, *(f"{name}-{number}" for number in range(2, _MAX_CHANGE_SETS + 1))]
