"""The placeholders for account and region in model files."""

from __future__ import annotations

from dataclasses import dataclass

PLACEHOLDERS = ("{region}", "{account}")


@dataclass(frozen=True)
class AwsIdentity:
    """The account and the region that calls go to.

    :param account: the 12 digits
    :param region: such as us-west-2
    :param partition: ``aws``, or that of China or GovCloud
    :param arn: the caller's: of a user, or of a session of a role
    """

    account: str
    region: str
    partition: str = "aws"
    arn: str = ""

    def resolve(self, text: str) -> str:
        """Replace the placeholders in a text by account and region."""
        return text.replace("{region}", self.region).replace("{account}", self.account)

    def sagemaker_arn(self, resource: str) -> str:
        """Return the ARN of a resource of SageMaker.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html

        :param resource: its kind and name, such as ``endpoint/iris-model-production``
        """
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.account}:{resource}"
