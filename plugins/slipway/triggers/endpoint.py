"""Waiting for an endpoint to serve."""

from __future__ import annotations

from typing import Any

from slipway.aws.sagemaker import SageMakerHook
from slipway.waiting.waiter import PatientWaiterTrigger


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
