"""What the List operations of AWS have in common: filters, order and pages."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from local_aws.framework.api import ServiceError

# The first part of each token's content.
_MARK = "after"


def paginate(
    items: list[dict[str, Any]],
    parameters: dict[str, Any],
    *,
    key: Callable[[dict[str, Any]], tuple[Any, ...]],
    descending: bool = False,
    default_size: int = 100,
) -> tuple[list[dict[str, Any]], str | None]:
    """Sort a List's items and return the page that a request asks for.

    The token holds the last item's sort key, so a page is correct even if items were added or removed meanwhile.

    :param items: all of them, in any order
    :param parameters: the request, of which MaxResults and NextToken are read
    :param key: JSON values an item is sorted by; unique, so end it with the name
    :param descending: sort the other way round
    :param default_size: items of a page when MaxResults is absent
    :returns: the page, and the NextToken of the next one or None
    :raises ServiceError: NextToken was not made here
    """
    ordered = sorted(items, key=key, reverse=descending)
    if "NextToken" in parameters:
        last = _position(parameters["NextToken"], key(ordered[0]) if ordered else None)
        ordered = [item for item in ordered if (key(item) < last if descending else key(item) > last)]
    page = ordered[: parameters.get("MaxResults", default_size)]
    if len(page) == len(ordered):
        return page, None
    return page, base64.urlsafe_b64encode(json.dumps([_MARK, *key(page[-1])]).encode()).decode()


def _position(token: str, example: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """Read a token; one that was not made here, or for another List, is refused."""
    try:
        mark, *position = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        found = tuple(position)
        if mark != _MARK:
            raise ValueError("no token")
        if example is not None:
            # Values of another type or number cannot be compared with the items' keys.
            _ = found < example
            if len(found) != len(example):
                raise ValueError("another List's")
    except (binascii.Error, ValueError, TypeError) as error:
        raise ServiceError("ValidationException", "Invalid pagination token.") from error
    return found


def select(
    documents: list[dict[str, Any]],
    parameters: dict[str, Any],
    *,
    name_field: str,
    sort_fields: dict[str, str],
    status_field: str | None = None,
    default_sort: str = "CreationTime",
    default_order: str = "Descending",
    unique_field: str | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Filter, sort and page documents by the parameters SageMaker's List operations share.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html

    :param documents: all of them
    :param parameters: the request: NameContains, StatusEquals, Creation-/LastModifiedTimeAfter/-Before, SortBy,
        SortOrder, MaxResults, NextToken
    :param name_field: the member that holds the name
    :param sort_fields: member to sort by, for each value of SortBy
    :param status_field: the member StatusEquals is compared with
    :param default_sort: SortBy when absent
    :param default_order: SortOrder when absent, as the page of the operation says
    :param unique_field: the member that decides between equals; the name when None
    :returns: the page, and the NextToken of the next one or None
    :raises ServiceError: NextToken was not made here
    """
    found = [document for document in documents if _wanted(document, parameters, name_field, status_field)]
    sort_field = sort_fields[parameters.get("SortBy", default_sort)]
    return paginate(
        found,
        parameters,
        key=lambda document: (document[sort_field], document[unique_field or name_field]),
        descending=parameters.get("SortOrder", default_order) == "Descending",
        default_size=10,
    )


def _wanted(document: dict[str, Any], parameters: dict[str, Any], name_field: str, status_field: str | None) -> bool:
    if parameters.get("NameContains", "").lower() not in document[name_field].lower():
        return False
    if status_field and parameters.get("StatusEquals", document[status_field]) != document[status_field]:
        return False
    return all(
        parameters.get(f"{member}After", float("-inf"))
        <= document[member]
        <= parameters.get(f"{member}Before", float("inf"))
        for member in ("CreationTime", "LastModifiedTime")
        if member in document
    )
