"""The endpoints of an account and region, listed, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.sagemaker import SageMakerHook

# The largest page of ListEndpoints; the default is ten.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListEndpoints.html
PAGE_SIZE = 100
# How often a list of several pages is read whole.
LISTED_EVERY = timedelta(hours=1)
# The clocks of AWS and this machine may differ, and a list may lag behind a change.
_OVERLAP = timedelta(minutes=5)


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
    def endpoints(self, modified_after: datetime | None = None) -> list[ListedEndpoint]:
        """List endpoints; one call for each hundred of them.

        :param modified_after: only those that have changed since then
        :raises slipway.errors.AwsError: when a call fails
        """
        filters = {"LastModifiedTimeAfter": modified_after} if modified_after else {}
        with aws_call("list the endpoints", "endpoints"):
            pages = self.conn.get_paginator("list_endpoints").paginate(MaxResults=PAGE_SIZE, **filters)
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


class EndpointList:
    """The endpoints of an account, read again and again by few calls.

    What fits into a page is listed whole. Of more endpoints only those are listed that have changed since the last
    look, and the whole list is read once an hour: by then an endpoint that was deleted is missing.

    :param hook: SageMaker
    """

    def __init__(self, hook: EndpointsHook) -> None:
        self._hook = hook
        self._known: dict[str, ListedEndpoint] = {}
        self._looked: datetime | None = None
        self._listed: datetime | None = None

    def read(self) -> list[ListedEndpoint]:
        """Return the endpoints as they are now.

        :raises slipway.errors.AwsError: when a call fails
        """
        now = datetime.now(UTC)
        whole = len(self._known) < PAGE_SIZE or self._listed is None or now - self._listed >= LISTED_EVERY
        if whole or self._looked is None:
            self._known = {one.name: one for one in self._hook.endpoints()}
            self._listed = now
        else:
            self._known |= {one.name: one for one in self._hook.endpoints(self._looked - _OVERLAP)}
        self._looked = now
        return list(self._known.values())

    def forget(self, name: str) -> None:
        """Leave out an endpoint that was found to be gone."""
        self._known.pop(name, None)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
