"""What the List operations of AWS have in common: filters, order and pages."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from local_aws.framework.api import ServiceError
from local_aws.framework.store import FAMILY, Collection, Conditions, Page, Scope

# The first part of each token's content.
_MARK = "after"
_SIZE = 10
FAMILY_ORDER = "_order"
_NAME = "_name"


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
    return page, _token(key(page[-1]))


def page_by_name(
    collection: Collection,
    scope: Scope,
    size: int,
    token: str | None,
    *,
    under: str,
    descending: bool = False,
    conditions: Conditions,
) -> tuple[Page, str | None]:
    """Return a page of the documents whose names begin with a text, which costs the rows of the page.

    :param collection: where the documents are
    :param scope: whose documents
    :param size: of the page
    :param token: the NextToken of the page before; None for the first page
    :param under: what the names begin with; empty for all
    :param descending: whether the last name comes first
    :param conditions: more conditions, of SQL
    :returns: name and document of each, and the NextToken of the next page or None
    :raises ServiceError: the token was not made here
    """
    after = _position(token, ("",)) if token is not None else None
    wanted: Conditions = [*beginning(under, *(after or ()), descending=descending), *conditions]
    rows = collection.page(scope, size + 1, after, by="name", descending=descending, conditions=wanted)
    return _cut(rows, size, lambda name, _: (name,))


def beginning(under: str, after: str | None = None, *, descending: bool = False) -> Conditions:
    """Return the conditions of names that begin with a text: bounds, so that SQLite reads a range of the key.

    SQLite reads from one bound only, so there is none on the side where a page begins behind a name.

    :param under: the text; empty for all names
    :param after: the name behind which the page begins; None for the first page
    :param descending: whether the last name comes first
    """
    if not under:
        return []
    first, end = ("name >= ?", under), ("name < ?", f"{under[:-1]}{chr(ord(under[-1]) + 1)}")
    if after is None or not under <= after < end[1]:
        return [first, end]
    return [first] if descending else [end]


def page_in_order(
    read: Callable[[str], Iterable[tuple[str, dict[str, Any]]]], size: int, token: str | None
) -> tuple[Page, str | None]:
    """Return a page of what is read one by one, by name; no more is read than the page needs.

    :param read: given the name behind which it is to begin
    :param size: of the page
    :param token: the NextToken of the page before; None for the first page
    :returns: name and document of each, and the NextToken of the next page or None
    :raises ServiceError: the token was not made here
    """
    (after,) = _position(token, ("",)) if token is not None else ("",)
    return _cut(list(islice(read(after), size + 1)), size, lambda name, _: (name,))


def page_newest(
    collection: Collection, scope: Scope, size: int, token: str | None, *, descending: bool, conditions: Conditions
) -> tuple[Page, str | None]:
    """Return a page of documents by their CreationTime, which costs the rows of the page.

    :param collection: where the documents are
    :param scope: whose documents
    :param size: of the page
    :param token: the NextToken of the page before; None for the first page
    :param descending: whether the newest comes first
    :param conditions: more conditions, of SQL
    :returns: name and document of each, and the NextToken of the next page or None
    :raises ServiceError: the token was not made here
    """
    after = _position(token, (0.0, "")) if token is not None else None
    rows = collection.page(scope, size + 1, after, by="created, name", descending=descending, conditions=conditions)
    # The store has 0 for a document without one.
    return _cut(rows, size, lambda name, last: (float(last.get("CreationTime", 0)), name))


def _cut(rows: Page, size: int, position: Callable[[str, dict[str, Any]], tuple[Any, ...]]) -> tuple[Page, str | None]:
    """Cut off the row that was read beyond the page, which says that there is a next one."""
    return rows[:size], (_token(position(*rows[size - 1])) if len(rows) > size else None)


def _token(position: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps([_MARK, *position]).encode()).decode()


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


def page_of(
    collection: Collection,
    scope: Scope,
    parameters: dict[str, Any],
    *,
    name_field: str,
    sort_fields: dict[str, str],
    default_order: str = "Descending",
    family: str | None = None,
    conditions: Conditions | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Filter, sort and page documents by the parameters that SageMaker's List operations share.

    By CreationTime and by name a page is read from an index; by other members, all that fit are sorted.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html

    :param collection: where the documents are, by their names in small letters
    :param scope: whose documents
    :param parameters: the request: NameContains, StatusEquals, Creation-/LastModifiedTimeAfter/-Before, SortBy,
        SortOrder, MaxResults, NextToken
    :param name_field: the member that holds the name
    :param sort_fields: member to sort by, for each value of SortBy; FAMILY_ORDER for names with numbers after a slash
    :param default_order: SortOrder when absent, as the page of the operation says
    :param family: what the names begin with up to their slash; empty for names without one, None for all
    :param conditions: more conditions
    :returns: the page, and the NextToken of the next one or None
    :raises ServiceError: NextToken was not made here
    """
    wanted: Conditions = [*(conditions or []), *_conditions(parameters)]
    if family is not None:
        wanted.insert(0, (f"{FAMILY} = ?", family))
    descending = parameters.get("SortOrder", default_order) == "Descending"
    field = sort_fields[parameters.get("SortBy", "CreationTime")]
    by = {"CreationTime": "created, name", name_field: "name"}.get(field)
    if by is None:
        rows = collection.page(scope, -1, None, by="name", descending=False, conditions=wanted)
        return paginate(
            [{**document, FAMILY_ORDER: _in_family(name), _NAME: name} for name, document in rows],
            parameters,
            key=lambda document: (document[field], document[_NAME]),
            descending=descending,
            default_size=_SIZE,
        )
    after = None
    if "NextToken" in parameters:
        after = _position(parameters["NextToken"], (0.0, "") if "," in by else ("",))
    size = parameters.get("MaxResults", _SIZE)
    rows = collection.page(scope, size + 1, after, by=by, descending=descending, conditions=wanted)
    page = [document for _, document in rows[:size]]
    if len(rows) <= size:
        return page, None
    name, last = rows[size - 1]
    return page, _token((float(last["CreationTime"]), name) if "," in by else (name,))


def _conditions(parameters: dict[str, Any]) -> Conditions:
    """Return what a request asks for, in SQL."""
    modified = "json_extract(body, '$.LastModifiedTime')"
    asked = {
        "NameContains": f"instr(rtrim(coalesce(nullif({FAMILY}, ''), name), '/'), lower(?)) > 0",
        "CreationTimeAfter": "created >= ?",
        "CreationTimeBefore": "created <= ?",
        "LastModifiedTimeAfter": f"ifnull({modified} >= ?, 1)",
        "LastModifiedTimeBefore": f"ifnull({modified} <= ?, 1)",
        "StatusEquals": "status = ?",
    }
    return [(one, parameters[name]) for name, one in asked.items() if name in parameters]


def _in_family(name: str) -> list[str | int]:
    family, _, number = name.partition("/")
    return [family, int(number) if number.isdecimal() else 0]
