"""The time that a stack's creation may take.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html, TimeoutInMinutes
"""

import math
import time
from typing import Any

from local_aws.framework.store import Document
from local_aws.host.current import current
from local_aws.settings import Clock

# What a resource says whose creation CloudFormation gives up.
CANCELLED = "Resource creation cancelled"
EXCEEDED = "Stack creation time exceeded the specified timeout. "
_MEMBER = "TimeoutInMinutes"
# When the time of the stack is over, in seconds since 1970.
_DEADLINE = "_creation_deadline"
_WAITS = "AWS::CloudFormation::WaitCondition"


def keep(stack: Document, clock: Clock) -> None:
    """Let a new stack keep the time that its creation may take.

    :param stack: the stack, whose creation begins
    :param clock: how fast AWS's minutes pass
    """
    asked = current.get(None)
    if asked is not None and asked.parameters.get("Action") == "CreateStack" and asked.parameters.get(_MEMBER):
        stack[_MEMBER] = int(asked.parameters[_MEMBER])
        stack[_DEADLINE] = time.time() + clock.real_seconds(60 * stack[_MEMBER])


def is_over(stack: Document) -> bool:
    """Tell whether a stack that is being created has no time left.

    :param stack: the stack as its operation began
    """
    return stack.get("StackStatus") == "CREATE_IN_PROGRESS" and time.time() >= stack.get(_DEADLINE, math.inf)


def limited(stack: Document, type_name: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Let a wait condition wait no longer than its stack's creation may take.

    :param stack: the stack as its operation began
    :param type_name: of the resource
    :param properties: of the resource
    :returns: the properties to make it with
    """
    if type_name != _WAITS or _DEADLINE not in stack:
        return properties
    left = max(1, math.ceil(stack[_DEADLINE] - time.time()))
    return {**properties, "Timeout": str(min(left, int(properties.get("Timeout", left))))}
