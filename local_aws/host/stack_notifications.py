"""Stack events that CloudFormation publishes to the topics of NotificationARNs, in its text format.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html, NotificationARNs
AWS's pages do not show the format; https://github.com/getmoto/moto/blob/master/tests/test_cloudformation has one.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from local_aws.framework.store import Document
from local_aws.host.current import current

PRIVATE_PARTS = {
    "ministack.services.cloudformation": ("_stack_events", "_stacks"),
    "ministack.services.cloudformation.changesets": ("_add_event",),
    "ministack.services.cloudformation.handlers": ("_add_event",),
    "ministack.services.cloudformation.stacks": ("_add_event",),
    "ministack.services.sns": ("publish_internal",),
}

_MEMBER = "NotificationARNs"
# Who began the operation, as IAM's unique id.
_PRINCIPAL = "_principal_id"
_SUBJECT = "AWS CloudFormation Notification"
_CLOUDFORMATION = "ministack.services.cloudformation"

_log = logging.getLogger(__name__)


class StackNotifications:
    """The topics of all stacks.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._cloudformation = modules[_CLOUDFORMATION]
        self._publish = modules["ministack.services.sns"].publish_internal
        add = modules[f"{_CLOUDFORMATION}.stacks"]._add_event

        def added(stack_id: str, stack_name: str, *rest: Any, **keywords: Any) -> None:
            add(stack_id, stack_name, *rest, **keywords)
            stack = self._cloudformation._stacks.get(stack_name)
            if stack is not None and stack["StackId"] == stack_id:
                self._tell(stack, self._cloudformation._stack_events[stack_id][-1])

        for module in ("changesets", "handlers", "stacks"):
            modules[f"{_CLOUDFORMATION}.{module}"]._add_event = added

    def keep(self, stack: Document) -> None:
        """Let a stack keep the topics of the request that begins its operation.

        :param stack: the stack
        """
        given = self._given(stack)
        if given is not None:
            stack[_MEMBER] = given
        asked = current.get(None)
        if asked is not None:
            stack[_PRINCIPAL] = asked.caller.principal_id

    def _given(self, stack: Document) -> list[str] | None:
        """Return the topics that the current request names for a stack; None where it names none."""
        asked = current.get(None)
        if asked is None or asked.parameters.get("StackName") not in (stack["StackName"], stack["StackId"]):
            return None
        given = asked.parameters.get(_MEMBER)
        # An empty list, which removes all topics, is an empty text in the Query protocol.
        return [one for one in given if one] if isinstance(given, list) else None if given is None else []

    def _tell(self, stack: Document, event: Document) -> None:
        given = self._given(stack)
        for topic in stack.get(_MEMBER, []) if given is None else given:
            try:
                self._publish(topic, _written(event, stack.get(_PRINCIPAL, "")), _SUBJECT)
            except Exception:
                # A topic that is gone must not fail the stack.
                _log.exception("The event of stack %s could not be published to %s", stack["StackName"], topic)


def _written(event: Document, principal: str) -> str:
    """Write an event as CloudFormation does: a line for each member."""
    members = {
        "StackId": event["StackId"],
        "Timestamp": event["Timestamp"],
        "EventId": event["EventId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Namespace": event["StackId"].split(":")[4],
        "PhysicalResourceId": event.get("PhysicalResourceId", ""),
        "PrincipalId": principal,
        "ResourceProperties": json.dumps(event["ResourceProperties"]) if "ResourceProperties" in event else "null",
        "ResourceStatus": event["ResourceStatus"],
        "ResourceStatusReason": event.get("ResourceStatusReason", ""),
        "ResourceType": event["ResourceType"],
        "StackName": event["StackName"],
        "ClientRequestToken": event.get("ClientRequestToken", "null"),
    }
    return "".join(f"{name}='{value}'\n" for name, value in members.items())
