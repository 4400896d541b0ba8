"""The endpoints of an account and region, listed, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.sagemaker import SageMakerHook

# The largest page of ListEndpoints; the default is ten.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListEndpoints.html
PAGE_SIZE = 100


@dataclass(frozen=True)
class ListedEndpoint:
    """An endpoint as ListEndpoints names it.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_EndpointSummary.html

    :param created: ISO 8601, UTC
    :param modified: ISO 8601, UTC; each change of the endpoint, its weights and its instances makes it later
    """

    name: str
    arn: str
    status: str
    created: str
    modified: str


class EndpointsHook(SageMakerHook):
    """The list of endpoints, and their tags.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListEndpoints.html
    """

    @patient
    def endpoints(self) -> list[ListedEndpoint]:
        """List all endpoints; one call for each hundred of them.

        :raises slipway.errors.AwsError: when a call fails
        """
        with aws_call("list the endpoints", "endpoints"):
            pages = self.conn.get_paginator("list_endpoints").paginate(MaxResults=PAGE_SIZE)
            return [
                ListedEndpoint(
                    name=one["EndpointName"],
                    arn=one["EndpointArn"],
                    status=one["EndpointStatus"],
                    created=_text(one["CreationTime"]),
                    modified=_text(one["LastModifiedTime"]),
                )
                for page in pages
                for one in page["Endpoints"]
            ]

    @patient
    def tag_of(self, arn: str, key: str) -> str | None:
        """Read a tag of an endpoint that may be deleted meanwhile.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTags.html

        :param arn: the endpoint's ARN
        :param key: the tag's key
        :returns: the tag's value; None without the tag or the endpoint
        :raises slipway.errors.AwsError: when the call fails
        """
        return self._tags_or_none(arn).get(key)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
