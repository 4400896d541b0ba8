"""What an added service consists of: its API, its resource types, and how it starts and stops."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from local_aws.framework.api import JsonService
from local_aws.framework.cloudformation import ResourceType
from local_aws.framework.store import Scope


class InvocationResponse(NamedTuple):
    """The answer of a model's container, as InvokeEndpoint returns it.

    :param status: of HTTP
    :param headers: as sent to the client
    :param body: as sent to the client
    """

    status: int
    headers: dict[str, str]
    body: bytes


# Scope, endpoint name, request headers in lower case, body.
Invoke = Callable[[Scope, str, dict[str, str], bytes], Awaitable[InvocationResponse]]
# The paths of files that a service hands out by an address of its own making, which needs no other signature.
DOWNLOADS_PATH = "/_local_aws/downloads/"
# Path and query of such an address → the file; None for an address that nobody made.
Download = Callable[[str, Mapping[str, str]], Path | None]
# ARN and tags of a resource.
Resource = tuple[str, dict[str, str]]


@dataclass(frozen=True)
class TagSearch:
    """Which resources a request of the tagging API asks a service for.

    :param under: what their ARNs begin with
    :param after: only ARNs behind this one
    :param filters: the request's TagFilters
    """

    under: str
    after: str
    filters: tuple[dict[str, Any], ...]

    def among(self, resources: Iterable[Resource]) -> Iterator[Resource]:
        """Return those of some resources that are asked for.

        :param resources: in any order
        :returns: by ARN
        """
        for arn, tags in sorted(resources, key=itemgetter(0)):
            if arn > self.after and arn.startswith(self.under) and self.fits(tags):
                yield arn, tags

    def fits(self, tags: dict[str, str]) -> bool:
        """Tell whether tags fit all filters; a filter without values asks for the key.

        :param tags: of a resource
        """
        return all(
            one["Key"] in tags and (not one.get("Values") or tags[one["Key"]] in one["Values"]) for one in self.filters
        )


# Reads what is asked for of an account and region, by ARN.
Tagged = Callable[[Scope, TagSearch], Iterator[Resource]]
# Scope, ARN of an alarm's action, the alarm as DescribeAlarms gives it.
AlarmAction = Callable[[Scope, str, Mapping[str, Any]], None]


def _nothing() -> None:
    """Start or stop a service that runs nothing."""


@dataclass(frozen=True)
class ServiceParts:
    """All that the gateway needs of an added service.

    :param service: its API
    :param resource_types: its CloudFormation resource types, by type name
    :param start: recovers what an earlier process left; called when the gateway answers requests
    :param stop: ends what runs; called while the gateway still answers requests
    :param invoke: answers ``/endpoints/{name}/invocations``; raises ServiceError
    :param download: finds the file of an address below `DOWNLOADS_PATH`
    :param alarm_action: called on the event loop for each alarm with an action of ``autoscaling``
    :param tagged: reads its resources for the tagging API
    """

    service: JsonService
    resource_types: dict[str, ResourceType]
    start: Callable[[], None] = _nothing
    stop: Callable[[], None] = _nothing
    invoke: Invoke | None = None
    download: Download | None = None
    alarm_action: AlarmAction | None = None
    tagged: Tagged | None = None
