"""Permissions boundaries of the roles that stacks make, and the condition key about them.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
"""

from collections.abc import Mapping
from typing import Any

PRIVATE_PARTS = {
    "ministack.services.cloudformation.provisioners": ("_RESOURCE_HANDLERS",),
    "ministack.services.iam": ("_policy_exists", "_roles"),
}

ROLE_TYPE = "AWS::IAM::Role"
_PROPERTY = "PermissionsBoundary"
_KEY = f"iam:{_PROPERTY}"
# The actions that have the condition key.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
_BOUNDED_ACTIONS = frozenset(
    f"iam:{action}"
    for kind in ("Role", "User")
    for action in (
        f"Attach{kind}Policy",
        f"Create{kind}",
        f"Delete{kind}PermissionsBoundary",
        f"Delete{kind}Policy",
        f"Detach{kind}Policy",
        f"Put{kind}PermissionsBoundary",
        f"Put{kind}Policy",
    )
)


def boundary_key(action: str, boundary: str) -> dict[str, str]:
    """Return the condition key of an action about a user or role.

    :param action: such as ``iam:CreateRole``
    :param boundary: the boundary that the request sets, else that the user or role has; empty for none
    """
    return {_KEY: boundary} if boundary and action in _BOUNDED_ACTIONS else {}


def keep_boundaries(modules: Mapping[str, Any]) -> None:
    """Let stacks, nested ones too, give their roles the boundaries of their templates, which ministack leaves out.

    :param modules: ministack's modules by name
    """
    handlers = modules["ministack.services.cloudformation.provisioners"]._RESOURCE_HANDLERS
    iam = modules["ministack.services.iam"]
    make, change = handlers[ROLE_TYPE]["create"], handlers[ROLE_TYPE]["update"]

    def made(logical_id: str, properties: Any, *rest: Any, **keywords: Any) -> Any:
        boundary = wanted(properties)
        result = make(logical_id, properties, *rest, **keywords)
        if boundary:
            iam._roles[result[0]][_PROPERTY] = boundary
        return result

    def changed(physical_id: str, before: Any, after: Any, *rest: Any, **keywords: Any) -> Any:
        boundary = wanted(after)
        result = change(physical_id, before, after, *rest, **keywords)
        if boundary != before.get(_PROPERTY) or result[0] != physical_id:
            iam._roles[result[0]][_PROPERTY] = boundary
        return result

    def wanted(properties: Any) -> Any:
        boundary = (properties or {}).get(_PROPERTY)
        if boundary and not iam._policy_exists(boundary):
            # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html#API_CreateRole_Errors
            raise ValueError(f"Scope ARN: {boundary} does not exist or is not attachable.")
        return boundary

    handlers[ROLE_TYPE] = {**handlers[ROLE_TYPE], "create": made, "update": changed}
