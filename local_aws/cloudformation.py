"""What an added service implements to be a CloudFormation resource type; knows nothing of who calls it."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from local_aws.api import RequestContext


@dataclass(frozen=True)
class ResourceRequest:
    """One create, update or delete of one resource of a stack.

    :param context: account, region and the caller, which is CloudFormation
    :param stack_name: the stack's name
    :param logical_id: the resource's name in the template
    :param properties: its properties with every intrinsic function resolved
    :param physical_id: what ``Ref`` gives; None on create
    :param old_properties: on update, what it had before
    :param stack_tags: the stack's own tags, which AWS puts on each resource it makes
    """

    context: RequestContext
    stack_name: str
    logical_id: str
    properties: dict[str, Any]
    physical_id: str | None = None
    old_properties: dict[str, Any] | None = None
    stack_tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ResourceProgress:
    """A resource that is stable.

    :param physical_id: what ``Ref`` gives
    :param attributes: what ``Fn::GetAtt`` gives, by name
    """

    physical_id: str
    attributes: dict[str, str] = field(default_factory=dict)


class ResourceType(Protocol):
    """A resource type. Each method runs in a thread of its own, and returns when the resource is stable.

    A ``ServiceError`` fails the resource with its message as the reason, and CloudFormation rolls back.
    ``delete`` of what is already gone succeeds.
    """

    replacing_properties: frozenset[str]

    def create(self, request: ResourceRequest) -> ResourceProgress:
        """Make the resource."""

    def update(self, request: ResourceRequest) -> ResourceProgress:
        """Change the resource in place; called only when no replacing property changed."""

    def delete(self, request: ResourceRequest) -> None:
        """Remove the resource."""
