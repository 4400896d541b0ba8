"""What Slipway stores has a format version, and its readers pass over members that they do not know.

So the versions of Slipway before and after the one that wrote a document can read it: a new member has a default, and
no member is renamed or gets another meaning. A change that readers must not pass over needs another format version.
"""

from __future__ import annotations

import types
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from slipway.errors import UnreadableDocument

# The member that names the version. Documents from before it have none and are read as version 1.
FORMAT_VERSION = "format_version"
_CURRENT = 1
# A dataclass with a member of this name keeps there what it does not know, so that it can be written again.
_MORE = "more"
# The largest whole number of a database column; NaN and the infinities are not below it either.
_NUMBER_LIMIT = 2**63

Stored = TypeVar("Stored")


def versioned(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document's content with its format version, which comes first."""
    return {FORMAT_VERSION: _CURRENT, **content}


def known(kind: type[Stored], value: Any, required: Collection[str] = ()) -> Stored:
    """Make a dataclass, and those in it, of the members that they know.

    :param kind: the dataclass; the annotations of its members say what they may be
    :param value: what is stored
    :param required: members that must be there although they have a default
    :raises UnreadableDocument: naming the member that is missing or of another type
    """
    return _object(kind, value, kind.__name__, required)


def known_or_new(kind: type[Stored], value: Any) -> Stored:
    """Read as `known` does what can be found out again: nothing stored, and what cannot be read, is a new one.

    :param kind: the dataclass, whose members all have defaults
    :param value: what is stored, or None
    """
    try:
        return known(kind, {} if value is None else value)
    except UnreadableDocument:
        return kind()


def unknown(kind: type[object], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that a dataclass does not know, so that a document can be written again with them."""
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]  # a type cannot be bound to dataclasses
    return {name: item for name, item in value.items() if name not in names and name != FORMAT_VERSION}


def an_object(value: Any, where: str) -> Mapping[str, Any]:
    """Return a value that is an object.

    :param value: what is stored
    :param where: the document, or the member of it
    :raises UnreadableDocument: when it is something else
    """
    if not isinstance(value, Mapping):
        raise _other(where, "an object", value)
    return value


def unreadable(where: str, why: str) -> UnreadableDocument:
    """Build the error about something stored that this version of Slipway cannot read.

    :param where: the document, or the member of it
    :param why: what was expected and what was found
    """
    return UnreadableDocument(
        "This version of Slipway cannot read what is stored",
        resource=where,
        why=why,
        fix="if a newer version wrote it, install that one here too; otherwise clear the task that wrote it together "
        "with the tasks after it",
    )


def _object(kind: type[Any], value: Any, path: str, required: Collection[str] = ()) -> Any:
    value = an_object(value, path)
    hints, content = _hints(kind), {}  # type: ignore[arg-type]  # mypy: a class is hashable
    for one in fields(kind):
        if one.name == _MORE:
            content[_MORE] = unknown(kind, value)
        elif one.name in value:
            content[one.name] = _member(hints[one.name], value[one.name], f"{path}.{one.name}")
        elif one.name in required or (one.default is MISSING and one.default_factory is MISSING):
            raise unreadable(path, f"the member {one.name} is missing")
    return kind(**content)


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    # Annotations are text, which takes longer to evaluate than a member takes to read.
    return get_type_hints(kind)


def _member(hint: Any, value: Any, path: str) -> Any:
    """Read a value as its annotation says."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind is Any:
        return value
    if kind in (Union, types.UnionType):
        # Each optional member is one type or None.
        return None if value is None else _member(next(one for one in parts if one is not type(None)), value, path)
    if kind is tuple:
        if not isinstance(value, list | tuple):
            raise _other(path, "a list", value)
        return tuple(_member(parts[0], item, f"{path}[{index}]") for index, item in enumerate(value))
    if kind is dict:
        return {str(name): _member(parts[1], item, f"{path}.{name}") for name, item in an_object(value, path).items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return _object(kind, value, path)
    if issubclass(kind, Enum):
        choices = [one.value for one in kind]
        if value not in choices:
            raise _other(path, f"one of {', '.join(choices)}", value)
        return kind(value)
    return _plain(kind, value, path)


def _plain(kind: type[Any], value: Any, path: str) -> Any:
    wanted, name = _PLAIN[kind]
    right = isinstance(value, wanted) and (kind is bool or not isinstance(value, bool))
    if not right or (isinstance(value, int | float) and not -_NUMBER_LIMIT <= value < _NUMBER_LIMIT):
        raise _other(path, name, value)
    if isinstance(value, str) and not _is_unicode(value):
        raise _other(path, "text without half a surrogate pair", value)
    return value


_PLAIN: dict[type[Any], tuple[Any, str]] = {
    str: (str, "text"),
    bool: (bool, "true or false"),
    int: (int, "a whole number of at most 64 bits"),
    float: (int | float, "a number"),
}


def _is_unicode(text: str) -> bool:
    # Neither a log nor a database can hold the others.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _other(path: str, expected: str, value: Any) -> UnreadableDocument:
    return unreadable(path, f"expected {expected}, found {type(value).__name__} {value!r:.60}")
