"""What each action supports in a policy, by AWS's own list for programs.

The list is public, so no permission is needed. The simulator does not look at it: it takes any resource for any action.
https://docs.aws.amazon.com/service-authorization/latest/reference/service-reference.html
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

_URL = "https://servicereference.us-east-1.amazonaws.com/v1/{0}/{0}.json"
_PLACE = re.compile(r"\$\{\w+\}")
_TIMEOUT_SECONDS = 20

# A service's document by the prefix of its actions.
Reference = Callable[[str], Mapping[str, Any]]


@cache
def published(service: str) -> Mapping[str, Any]:
    """Fetch a service's document.

    :raises OSError: when the page cannot be reached
    """
    with urllib.request.urlopen(_URL.format(service), timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  # https
        found: Mapping[str, Any] = json.load(answer)
    return found


def unsupported(statements: list[dict[str, Any]], reference: Reference) -> Iterator[str]:
    """Name what no request can meet: actions without these resources or condition keys."""
    for statement in statements:
        for name in as_list(statement["Action"]):
            service, _, action = name.partition(":")
            document = reference(service)
            entry = next((one for one in document["Actions"] if one["Name"] == action), None)
            if entry is None:
                yield f"{name}: there is no such action"
                continue
            kinds = {one["Name"] for one in entry.get("Resources", [])}
            types = [one for one in document.get("Resources", []) if one["Name"] in kinds]
            yield from _resources(name, as_list(statement["Resource"]), types)
            yield from _keys(name, statement.get("Condition", {}), entry, types)


def _resources(action: str, resources: list[str], types: list[dict[str, Any]]) -> Iterator[str]:
    if "*" in resources:
        return
    formats = [_PLACE.sub("*", text) for one in types for text in one.get("ARNFormats", [])]
    if not formats:
        yield f"{action}: supports no resources"
    elif not any(fnmatchcase(example(arn), text) for arn in resources for text in formats):
        yield f"{action}: supports {', '.join(formats)}"


def _keys(action: str, conditions: dict[str, Any], entry: dict[str, Any], types: list[dict[str, Any]]) -> Iterator[str]:
    known = [*entry.get("ActionConditionKeys", [])]
    known += [key for one in types for key in one.get("ConditionKeys", [])]
    patterns = [_PLACE.sub("*", key).lower() for key in known]
    for key in (key for keys in conditions.values() for key in keys):
        # Other keys of aws: are there for all actions.
        own = not key.startswith("aws:") or key.startswith(("aws:RequestTag/", "aws:ResourceTag/"))
        if own and not any(fnmatchcase(key.lower(), pattern) for pattern in patterns):
            yield f"{action}: has no condition key {key}"


def as_list(value: Any) -> list[Any]:
    """Return what may stand alone as a list."""
    return value if isinstance(value, list) else [value]


def example(pattern: str) -> str:
    """Return a value that a pattern of a policy matches."""
    return pattern if pattern == "*" else pattern.replace("?*", "x").replace("*", "x")
