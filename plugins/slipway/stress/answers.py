"""What the variants under load answer, and whether they have the accuracy that a limit is set for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.aws.s3 import S3Hook
from slipway.aws.sagemaker import SageMakerHook
from slipway.errors import StressRefused
from slipway.load.answers import Answers
from slipway.quality.served import answers_of, containers


def answers_under_load(
    endpoint: Mapping[str, Any], *, min_accuracy: float | None, target_variant: str | None, aws_conn_id: str | None
) -> dict[str, Answers]:
    """Return what the variants of an endpoint answer.

    :param endpoint: what DescribeEndpoint answered
    :param min_accuracy: the limit of the accuracy, if there is one
    :param target_variant: the variant that gets the load; None for all
    :param aws_conn_id: Airflow connection with the AWS credentials
    :raises StressRefused: when there is a limit, and a variant's answers name no class
    """
    served = containers(SageMakerHook(aws_conn_id=aws_conn_id), endpoint)
    found = answers_of(served, S3Hook(aws_conn_id=aws_conn_id))
    unfit = [name for name, one in found.items() if target_variant in (None, name) and not one.name_a_class]
    if unfit and min_accuracy is not None:
        raise StressRefused(
            "No load was sent",
            resource=endpoint["EndpointName"],
            why=f"the answers of {', '.join(unfit)} name no class, so there is no accuracy",
            fix="leave min_accuracy out",
        )
    return found
