"""Waiting for CloudFormation: until a stack has settled, or a change set has been worked out."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.sagemaker import SageMakerHook
from slipway.waiting.waiter import PatientWaiterTrigger


class StackWait(StrEnum):
    """What to wait for; the waiter of this name lists the states."""

    DEPLOYED = "StackDeployed"
    IDLE = "StackIdle"
    DELETED = "StackDeleted"


class StackTrigger(PatientWaiterTrigger):
    """Waits until CloudFormation has finished with a stack.

    Whoever takes the task away does not stop CloudFormation: an operation under way ends by itself, as done or rolled
    back, and the next run finds it in either state.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html

    :param stack: name or StackId; only the StackId finds a deleted stack
    :param wait: which end counts as success
    :param deadline: when to give up, in seconds since the epoch
    :param poll_seconds: time between two polls
    """

    aws_hook_class = CloudFormationHook

    def __init__(self, *, stack: str, wait: str, deadline: float, poll_seconds: float, **connection: Any) -> None:
        super().__init__(
            serialized_fields={"stack": stack, "wait": StackWait(wait).value},
            waiter_name=StackWait(wait).value,
            waiter_args={"StackName": stack},
            status_query="Stacks[0].StackStatus",
            reason_query="Stacks[0].StackStatusReason",
            deadline=deadline,
            poll_seconds=poll_seconds,
            **connection,
        )


class ChangeSetTrigger(PatientWaiterTrigger):
    """Waits until CloudFormation has worked out what a change set would change.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeChangeSet.html

    :param stack: the stack's name
    :param change_set: the change set's name
    :param deadline: when to give up, in seconds since the epoch
    :param poll_seconds: time between two polls
    """

    aws_hook_class = CloudFormationHook

    def __init__(self, *, stack: str, change_set: str, deadline: float, poll_seconds: float, **connection: Any) -> None:
        super().__init__(
            serialized_fields={"stack": stack, "change_set": change_set},
            waiter_name="ChangeSetMade",
            waiter_args={"StackName": stack, "ChangeSetName": change_set},
            status_query="Status",
            reason_query="StatusReason",
            deadline=deadline,
            poll_seconds=poll_seconds,
            **connection,
        )


class EndpointInServiceTrigger(PatientWaiterTrigger):
    """Waits until an endpoint that is being created or updated is InService.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html

    :param endpoint_name: The endpoint's name.
    :param deadline: When to give up, in seconds since the epoch.
    :param poll_seconds: Time between two polls.
    """

    aws_hook_class = SageMakerHook

    def __init__(self, *, endpoint_name: str, deadline: float, poll_seconds: float, **connection: Any) -> None:
        super().__init__(
            serialized_fields={"endpoint_name": endpoint_name},
            waiter_name="EndpointInService",
            waiter_args={"EndpointName": endpoint_name},
            status_query="EndpointStatus",
            reason_query="FailureReason",
            deadline=deadline,
            poll_seconds=poll_seconds,
            **connection,
        )
