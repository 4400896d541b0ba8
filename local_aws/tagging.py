"""The Resource Groups Tagging API, over the resources of the added services.

https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from collections.abc import Iterator, Sequence
from heapq import merge
from operator import itemgetter
from typing import Any

from local_aws.framework.api import JsonService, Operation, RequestContext, ServiceError
from local_aws.framework.authorization import Needed
from local_aws.framework.listing import page_in_order
from local_aws.framework.service_parts import Resource, ServiceParts, Tagged, TagSearch
from local_aws.framework.store import Scope

_PAGE_SIZE = 100


def build(sources: Sequence[Tagged]) -> ServiceParts:
    """Build the service.

    :param sources: read the resources of each service
    :returns: what the gateway needs of it
    """
    operations: dict[str, Operation] = {"GetResources": _Resources(sources).get}
    service = JsonService("resourcegroupstaggingapi", operations)
    # "The actions in the table do not support resource-level permissions":
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonresourcegrouptaggingapi.html
    service.needs = lambda context, operation, parameters: [Needed(f"tag:{operation}")]
    return ServiceParts(service, {})


class _Resources:
    def __init__(self, sources: Sequence[Tagged]) -> None:
        self._sources = sources

    def get(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        types, filters = parameters.get("ResourceTypeFilters", []), parameters.get("TagFilters", [])
        arns = parameters.get("ResourceARNList", [])
        if arns and (types or filters):
            raise ServiceError("InvalidParameterException", "ResourceARNList excludes all other filters.")

        def read(after: str) -> Iterator[Resource]:
            for arn, tags in self._found(context, arns or _beginnings(context, types), after, filters):
                if (arn in arns) if arns else tags:
                    yield arn, tags

        size = parameters.get("ResourcesPerPage", _PAGE_SIZE)
        page, token = page_in_order(read, size, parameters.get("PaginationToken") or None)
        found = [{"ResourceARN": arn, "Tags": _as_list(tags)} for arn, tags in page]
        return {"ResourceTagMappingList": found, "PaginationToken": token or ""}

    def _found(
        self, scope: Scope, beginnings: Sequence[str], after: str, filters: list[dict[str, Any]]
    ) -> Iterator[Resource]:
        """Read the resources whose ARNs begin with some texts, by ARN, each once."""
        # What begins with a text also begins with a shorter one.
        apart: list[str] = []
        for under in sorted(beginnings):
            if not (apart and under.startswith(apart[-1])):
                apart.append(under)
        searches = [TagSearch(under, after, tuple(filters)) for under in apart]
        return merge(*(source(scope, one) for source in self._sources for one in searches), key=itemgetter(0))


def _beginnings(scope: Scope, types: list[str]) -> list[str]:
    """Return what ARNs begin with that are of types such as ``sagemaker`` or ``sagemaker:endpoint-config``."""
    found = []
    for one in types:
        service, _, kind = one.partition(":")
        found.append(scope.arn(service, f"{kind}/" if kind else ""))
    return found or ["arn:"]


def _as_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
