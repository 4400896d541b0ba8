"""What IAM must allow before an operation of an added service is performed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from local_aws.framework.store import Scope

PASS_ROLE = "iam:PassRole"  # noqa: S105 (an action)
PASSED_TO = "iam:PassedToService"


@dataclass(frozen=True)
class Needed:
    """An action on a resource that the caller must be allowed.

    :param action: such as ``sagemaker:CreateModel``
    :param resource: an ARN; ``*`` for actions without resource-level permissions
    :param keys: the condition keys of the request and the resource, such as ``aws:RequestTag/team``
    :param policy: the resource's own policy, a JSON text; empty where it has none
    """

    action: str
    resource: str = "*"
    keys: Mapping[str, Any] = field(default_factory=dict)
    policy: str = ""


def passing(role_arn: str, service: str) -> Needed:
    """Return what the caller needs to hand a role over to a service.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html

    :param role_arn: the role
    :param service: such as ``sagemaker.amazonaws.com``
    """
    return Needed(PASS_ROLE, role_arn, {PASSED_TO: service})


def request_tag_keys(tags: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the condition keys of tags in a request.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html

    :param tags: as the request has them
    """
    if not tags:
        return {}
    keys: dict[str, Any] = {f"aws:RequestTag/{tag.get('Key', '')}": tag.get("Value", "") for tag in tags}
    return {**keys, "aws:TagKeys": [tag.get("Key", "") for tag in tags]}


class Guard(Protocol):
    """Asks IAM about the operations of added services."""

    def authorize(self, context: Any, needed: Sequence[Needed]) -> None:
        """Refuse a caller without the permissions.

        :param context: who asks, a ``RequestContext``
        :param needed: all of them must be allowed
        :raises ServiceError: one of them is not
        """

    def untrusted(self, scope: Scope, needed: Sequence[Needed]) -> Needed | None:
        """Find a role that does not exist or does not trust the service that it is handed to.

        :param scope: the account
        :param needed: those with `PASS_ROLE` are looked at
        :returns: the first such role; None where all can be assumed
        """

    def may(self, scope: Scope, role_arn: str, needed: Needed) -> bool:
        """Tell whether a role is allowed an action, for a service that acts as it.

        :param scope: account and region
        :param role_arn: the role
        :param needed: the action and its resource
        """
