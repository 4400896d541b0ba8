"""What an added service implements to offer a CloudFormation resource type."""

import hashlib
import string
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from local_aws.framework.api import RequestContext

# The caller of what CloudFormation does for a stack.
CLOUDFORMATION = "cloudformation.amazonaws.com"


@dataclass(frozen=True)
class ResourceRequest:
    """One create, update or delete of one resource of a stack.

    :param context: account, region and the caller, which is CloudFormation
    :param stack_name: the stack's name; empty on delete
    :param logical_id: the resource's name in the template
    :param properties: its properties with every intrinsic function resolved; Tags include those of the stack
    :param token: the same at every attempt at this change, and at no other change
    :param again: whether an earlier attempt was interrupted; what it made belongs to the stack
    :param physical_id: what ``Ref`` gives; None on create
    :param old_properties: on update, what it had before
    """

    context: RequestContext
    stack_name: str
    logical_id: str
    properties: dict[str, Any]
    token: str
    again: bool = False
    physical_id: str | None = None
    old_properties: dict[str, Any] | None = None


@dataclass(frozen=True)
class ResourceProgress:
    """A resource that is stable.

    :param physical_id: what ``Ref`` gives
    :param attributes: what ``Fn::GetAtt`` gives, by name
    """

    physical_id: str
    attributes: dict[str, str] = field(default_factory=dict)


def physical_name(request: ResourceRequest, max_length: int = 63) -> str:
    """Return the name that CloudFormation gives to a resource without a name in the template.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html

    :param request: a create
    :param max_length: characters the service allows
    :returns: logical id and a suffix, such as ``Model-3kPZ0QmYcVd1``; the same at every attempt
    """
    alphabet = string.ascii_letters + string.digits
    digest = hashlib.sha256(request.token.encode()).digest()
    suffix = "".join(alphabet[byte % len(alphabet)] for byte in digest[:12])
    return f"{request.logical_id[: max_length - len(suffix) - 1]}-{suffix}"


class ResourceType(Protocol):
    """A resource type. Each method runs in its own thread, and returns when the resource is stable.

    A ``ServiceError`` fails the resource with its message as the reason, and CloudFormation rolls back.
    ``delete`` succeeds if the resource is gone already, ``create`` if an interrupted attempt has made it.
    ``update`` is also called when only Tags differ.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
    """

    # A change to one of these makes a new resource; the old one is deleted once the stack's update has succeeded.
    replacing_properties: frozenset[str]
    # The property that names the resource; CloudFormation does not replace a resource while the template names it.
    name_property: str | None
    # Whether it has a Tags property, into which CloudFormation merges the stack's tags.
    takes_tags: bool

    def create(self, request: ResourceRequest) -> ResourceProgress:
        """Make the resource."""

    def update(self, request: ResourceRequest) -> ResourceProgress:
        """Change the resource in place; called only when no replacing property changed."""

    def delete(self, request: ResourceRequest) -> None:
        """Remove the resource."""


@runtime_checkable
class ReadableType(Protocol):
    """A resource type that supports drift detection, as AWS's list says for each type.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-import-supported-resources.html
    """

    # What `read` gives. A property that the service does not return cannot be compared.
    compared_properties: frozenset[str]

    def read(self, request: ResourceRequest) -> dict[str, Any] | None:
        """Read the live properties by the names of the template.

        :param request: its physical id, and as properties what the template declares
        :returns: the properties; None when the resource is gone
        :raises ServiceError: it cannot be read, so that its drift is UNKNOWN
        """
