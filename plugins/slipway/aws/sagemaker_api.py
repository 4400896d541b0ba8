"""What SageMakerHook and ModelRegistryHook share: the client, missing resources and tags."""

from __future__ import annotations

import os
from typing import Any

from botocore.exceptions import ClientError

from slipway import paths
from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.session import AwsHook

WAITER_PATH = paths.waiters("sagemaker")

# SageMaker reports a missing resource by a ValidationException; only its text tells which.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
_MISSING_CODES = ("ResourceNotFound", "ResourceNotFoundException")
_MISSING_TEXTS = ("not found", "could not find", "does not exist")


def is_missing_resource(error: ClientError) -> bool:
    """Tell whether the service says that the resource does not exist.

    :param error: what boto3 raised
    :returns: True for SageMaker's answers about a missing resource
    """
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "").lower()
    return code in _MISSING_CODES or (code == "ValidationException" and any(text in message for text in _MISSING_TEXTS))


class SageMakerApiHook(AwsHook):
    """Base of the hooks of SageMaker's API.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html
    """

    service = "sagemaker"

    @property
    def waiter_path(self) -> os.PathLike[str]:
        """The waiters of this package, not those of the provider."""
        return WAITER_PATH

    @patient
    def describe_or_none(self, operation: str, resource: str, **parameters: Any) -> dict | None:
        """Describe a resource that may be missing.

        :param operation: boto3's name of the Describe operation
        :param resource: name or ARN, for the error
        :param parameters: the operation's parameters
        :returns: the description, or None where the service says that the resource is missing
        :raises slipway.errors.AwsError: for any other answer
        """
        with aws_call(operation.replace("_", " "), resource):
            try:
                return getattr(self.conn, operation)(**parameters)
            except ClientError as error:
                if is_missing_resource(error):
                    return None
                raise

    def delete(self, operation: str, resource: str, **parameters: Any) -> bool:
        """Delete a resource; a missing one is no error.

        :param operation: boto3's name of the Delete operation
        :param resource: name or ARN, for the error
        :param parameters: the operation's parameters
        :returns: False if it was gone
        :raises slipway.errors.AwsError: for any other answer
        """
        return self.describe_or_none(operation, resource, **parameters) is not None

    @patient
    def list_tags(self, arn: str) -> dict[str, str]:
        """Read a resource's tags.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTags.html

        :param arn: the resource's ARN
        :returns: tag values by key
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("list tags", arn):
            pages = self.conn.get_paginator("list_tags").paginate(ResourceArn=arn)
            return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    @patient
    def add_tags(self, arn: str, tags: dict[str, str]) -> None:
        """Add tags to a resource.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AddTags.html

        :param arn: the resource's ARN
        :param tags: tag values by key
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("add tags", arn):
            self.conn.add_tags(ResourceArn=arn, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
