"""The policies of users and roles, with names: ministack forgets which policy a statement is from.

A statement is named ``POLICY/SID`` then, or ``POLICY/#2`` if it has no Sid.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

PRIVATE_PARTS = {
    "ministack.core.iam_evaluator": (
        "_gather_role_policies",
        "_gather_user_policies",
        "_permissions_boundary",
        "_resolve_managed_policy_document",
        "parse_policy_document",
    ),
    "ministack.services.iam": ("_group_inline_policies", "_groups", "_roles", "_user_inline_policies", "_users"),
}

# The name of a policy, and its statements as ministack has parsed them.
_Named = Iterator[tuple[str, list[Any]]]


def name_statements(modules: Mapping[str, Any]) -> None:
    """Let each statement that is evaluated say which policy it is from.

    :param modules: ministack's modules by name
    """
    evaluator, iam = modules["ministack.core.iam_evaluator"], modules["ministack.services.iam"]

    def inline(documents: Mapping[str, Any] | None) -> _Named:
        for name, document in (documents or {}).items():
            yield name, evaluator.parse_policy_document(document)

    def attached(holder: Mapping[str, Any], account: str) -> _Named:
        for arn in holder.get("AttachedPolicies", []):
            document = evaluator._resolve_managed_policy_document(arn, account)
            if document:
                yield last_part(arn), evaluator.parse_policy_document(document)

    def of_role(name: str, account: str) -> list[list[Any]]:
        role = iam._roles.get_scoped(account, None, name)
        return [] if role is None else _named([*inline(role.get("InlinePolicies")), *attached(role, account)])

    def of_user(name: str, account: str) -> list[list[Any]]:
        user = iam._users.get_scoped(account, None, name)
        if user is None:
            return []
        found = [*inline(iam._user_inline_policies.get(name)), *attached(user, account)]
        for group_name, group in iam._groups.items():
            if name in group.get("Users", []):
                found += [*inline(iam._group_inline_policies.get(group_name)), *attached(group, account)]
        return _named(found)

    evaluator._gather_role_policies = of_role
    evaluator._gather_user_policies = of_user
    evaluator._permissions_boundary = _with_name(evaluator._permissions_boundary)


def _with_name(boundary: Callable[..., Any]) -> Callable[..., Any]:
    def of_holder(store: Any, name: str, account: str) -> Any:
        found = boundary(store, name, account)
        arn = (store.get_scoped(account, None, name) or {}).get("PermissionsBoundary") or ""
        for layer in found:
            _named((last_part(arn), statements) for statements in layer)
        return found

    return of_holder


def _named(policies: Iterable[tuple[str, list[Any]]]) -> list[list[Any]]:
    """Name the statements; a policy without any is left out, as by ministack."""
    found = []
    for name, statements in policies:
        for number, statement in enumerate(statements, 1):
            statement.sid = f"{name}/{statement.sid or f'#{number}'}"
        if statements:
            found.append(statements)
    return found


def last_part(arn: str) -> str:
    """Return the name in an ARN, without its path."""
    return arn.rpartition("/")[2]
