"""The Resource Groups Tagging API, over the resources of the added services.

https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
"""

from collections.abc import Iterator, Sequence
from typing import Any

from local_aws.framework.api import JsonService, Operation, RequestContext, ServiceError
from local_aws.framework.authorization import Needed
from local_aws.framework.listing import paginate
from local_aws.framework.service_parts import ServiceParts, Tagged
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

    def _everything(self, scope: Scope) -> Iterator[tuple[str, dict[str, str]]]:
        for source in self._sources:
            yield from source(scope)

    def get(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        types, filters = parameters.get("ResourceTypeFilters", []), parameters.get("TagFilters", [])
        if arns := parameters.get("ResourceARNList", []):
            if types or filters:
                raise ServiceError("InvalidParameterException", "ResourceARNList excludes all other filters.")
            found = [(arn, tags) for arn, tags in self._everything(context) if arn in arns]
        else:
            found = [
                (arn, tags)
                for arn, tags in self._everything(context)
                if tags and (not types or any(_is_of(arn, one) for one in types)) and _fits(tags, filters)
            ]
        page, token = paginate(
            [{"ResourceARN": arn, "Tags": _as_list(tags)} for arn, tags in found],
            {
                "MaxResults": parameters.get("ResourcesPerPage", _PAGE_SIZE),
                **({"NextToken": token} if (token := parameters.get("PaginationToken")) else {}),
            },
            key=lambda one: (one["ResourceARN"],),
        )
        return {"ResourceTagMappingList": page, "PaginationToken": token or ""}


def _as_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _is_of(arn: str, wanted: str) -> bool:
    """Tell whether an ARN is of a type such as ``sagemaker`` or ``sagemaker:endpoint-config``."""
    service, _, kind = wanted.partition(":")
    parts = arn.split(":", 5)
    return parts[2] == service and (not kind or parts[5].partition("/")[0] == kind)


def _fits(tags: dict[str, str], filters: list[dict[str, Any]]) -> bool:
    """Tell whether a resource fits all filters; a filter without values asks for the key."""
    return all(one["Key"] in tags and (not one.get("Values") or tags[one["Key"]] in one["Values"]) for one in filters)
