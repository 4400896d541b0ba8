"""What the hooks of SageMaker share: the client, translated errors, missing resources and tags."""

from __future__ import annotations

import os
from typing import Any

from botocore.exceptions import ClientError

from slipway import paths
from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.session import AwsHook

WAITER_PATH = paths.waiters("sagemaker")

# SageMaker answers a missing resource with ValidationException, told apart by its text alone.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
_MISSING_CODES = ("ResourceNotFound", "ResourceNotFoundException")
_MISSING_TEXTS = ("not found", "could not find", "does not exist")


def is_missing(error: ClientError) -> bool:
    """Tell whether the service says that the resource does not exist.

    :param error: What boto3 raised.
    :returns: True for SageMaker's answers about a missing resource.
    """
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "").lower()
    return code in _MISSING_CODES or (code == "ValidationException" and any(text in message for text in _MISSING_TEXTS))


class SageMakerBaseHook(AwsHook):
    """A thin hook of the SageMaker API.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "sagemaker"
        super().__init__(*args, **kwargs)

    @property
    def waiter_path(self) -> os.PathLike[str]:
        """The waiters of this package, not those of the provider."""
        return WAITER_PATH

    @patient
    def describe_or_none(self, operation: str, resource: str, **parameters: Any) -> dict | None:
        """Describe a resource that may not be there.

        :param operation: boto3's name of the Describe operation.
        :param resource: Name or ARN, for the error.
        :param parameters: The operation's parameters.
        :returns: The description, or None where the service says that the resource is missing.
        :raises slipway.errors.AwsError: For any other answer.
        """
        with aws_call(operation.replace("_", " "), resource):
            try:
                return getattr(self.conn, operation)(**parameters)
            except ClientError as error:
                if is_missing(error):
                    return None
                raise

    def delete(self, operation: str, resource: str, **parameters: Any) -> bool:
        """Delete a resource; one that is gone already is no error.

        :param operation: boto3's name of the Delete operation.
        :param resource: Name or ARN, for the error.
        :param parameters: The operation's parameters.
        :returns: False if it was gone.
        :raises slipway.errors.AwsError: For any other answer.
        """
        return self.describe_or_none(operation, resource, **parameters) is not None

    @patient
    def list_tags(self, arn: str) -> dict[str, str]:
        """Read a resource's tags.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTags.html

        :param arn: The resource's ARN.
        :returns: Tag values by key.
        :raises slipway.errors.AwsError: When the call fails.
        """
        with aws_call("list tags", arn):
            pages = self.conn.get_paginator("list_tags").paginate(ResourceArn=arn)
            return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    @patient
    def add_tags(self, arn: str, tags: dict[str, str]) -> None:
        """Add tags to a resource.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AddTags.html

        :param arn: The resource's ARN.
        :param tags: Tag values by key.
        :raises slipway.errors.AwsError: When the call fails.
        """
        with aws_call("add tags", arn):
            self.conn.add_tags(ResourceArn=arn, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
