"""Pages of ECR's lists: documents of one repository, by name."""

from typing import Any

from local_aws.ecr.errors import invalid
from local_aws.framework.api import ServiceError
from local_aws.framework.listing import page_by_name
from local_aws.framework.store import Collection, Conditions, Page, Scope

# "If this parameter is not used, then DescribeImages returns up to 100 results":
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
DEFAULT_SIZE = 100


def page_of(
    collection: Collection,
    scope: Scope,
    parameters: dict[str, Any],
    *,
    under: str = "",
    conditions: Conditions | None = None,
) -> tuple[Page, str | None]:
    """Read the page that a request asks for.

    :param collection: where the documents are
    :param scope: whose documents
    :param parameters: the request: maxResults and nextToken
    :param under: what the names begin with
    :param conditions: more conditions, of SQL
    :returns: name and document of each, and the nextToken of the next page or None
    :raises ServiceError: nextToken was not made here
    """
    try:
        return page_by_name(
            collection,
            scope,
            parameters.get("maxResults", DEFAULT_SIZE),
            parameters.get("nextToken"),
            under=under,
            conditions=conditions or [],
        )
    except ServiceError as error:
        raise invalid("Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'") from error
