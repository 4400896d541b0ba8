"""Triggers that wait for a stack, a change set or an endpoint."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.sagemaker import SageMakerHook
from slipway.waiting.waiter import PatientWaiterTrigger


class StackWait(StrEnum):
    """What to wait for; each value is the name of a waiter, which lists the states."""

    DEPLOYED = "StackDeployed"
    IDLE = "StackIdle"
    DELETED = "StackDeleted"


class StackTrigger(PatientWaiterTrigger):
    """Wait until CloudFormation has finished changing a stack.

    Clearing the task does not stop CloudFormation: the operation completes or is rolled back, and the next attempt
    continues from either state.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html

    :param stack: name or StackId; only the StackId finds a deleted stack
    :param wait: what to wait for, a value of StackWait
    :param deadline: when to give up, in seconds since the epoch
    :param poll_seconds: seconds between two polls
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
    """Wait until CloudFormation has made a change set.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeChangeSet.html

    :param stack: the stack's name
    :param change_set: the change set's name
    :param deadline: when to give up, in seconds since the epoch
    :param poll_seconds: seconds between two polls
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
    """Wait until an endpoint that is being created or updated is InService.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html

    :param endpoint_name: the endpoint's name
    :param deadline: when to give up, in seconds since the epoch
    :param poll_seconds: seconds between two polls
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
