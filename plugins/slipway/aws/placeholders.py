"""What a bucket name in a model file may stand for, and what AWS says it is."""

from __future__ import annotations

from dataclasses import dataclass

PLACEHOLDERS = ("{region}", "{account}")


@dataclass(frozen=True)
class AwsIdentity:
    """The account and the region that calls go to.

    :param account: the 12 digits
    :param region: such as us-west-2
    :param partition: ``aws``, or that of China or GovCloud
    :param arn: the caller's own: a user's, or that of a role's session
    """

    account: str
    region: str
    partition: str = "aws"
    arn: str = ""

    def resolve(self, text: str) -> str:
        """Put account and region where a model file has their placeholders."""
        return text.replace("{region}", self.region).replace("{account}", self.account)
