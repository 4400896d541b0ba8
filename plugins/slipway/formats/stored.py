"""What Slipway stores has a format version, and its readers pass over members that they do not know.

So the versions of Slipway before and after the one that wrote a document can read it: a new member has a default, and
no member is renamed or gets another meaning. A change that readers must not pass over needs another format version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

# The member that names the version. Documents from before it have none and are read as version 1.
FORMAT_VERSION = "format_version"
_CURRENT = 1

Stored = TypeVar("Stored")


def versioned(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document's content with its format version, which comes first."""
    return {FORMAT_VERSION: _CURRENT, **content}


def known(kind: type[Stored], value: Mapping[str, Any]) -> Stored:
    """Make a dataclass of the members that it knows.

    :param kind: the dataclass
    :param value: what is stored
    :raises TypeError: when a member without a default is missing
    """
    names = _members(kind)
    return kind(**{name: item for name, item in value.items() if name in names})


def unknown(kind: type[object], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that a dataclass does not know, so that a document can be written again with them."""
    names = _members(kind)
    return {name: item for name, item in value.items() if name not in names and name != FORMAT_VERSION}


def _members(kind: type[object]) -> set[str]:
    return {one.name for one in fields(kind)}  # type: ignore[arg-type]  # a type cannot be bound to dataclasses
