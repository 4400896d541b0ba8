"""Links to CloudFormation in the AWS console."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink


class CloudFormationStackLink(BaseAwsLink):
    """The stack with its events, resources and outputs.

    :param stack_id: handed to persist(); the StackId
    """

    name = "CloudFormation stack"
    key = "cloudformation_stack"
    format_str = (
        BASE_AWS_CONSOLE_LINK
        + "/cloudformation/home?region={region_name}#/stacks/stackinfo?filteringStatus=active&stackId={stack_id}"
    )

    def format_link(self, **kwargs: Any) -> str:
        """:returns: the link; a StackId has slashes and colons, which a fragment's query has to escape"""
        return super().format_link(**{**kwargs, "stack_id": quote(str(kwargs.get("stack_id", "")), safe="")})
