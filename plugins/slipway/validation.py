"""The strict base of everything read from outside, with errors that say how to fix them."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Tag, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

_FOUND_MAX_CHARS = 120
# https://docs.oracle.com/javase/8/docs/api/java/util/regex/Pattern.html#lt
_LINE_END = re.compile("[\n\r\u0085\u2028\u2029]")
# How many problems a message describes; it only counts the others.
_PROBLEMS_MAX = 20

# The values that pydantic lists for a choice.
_CHOICE = re.compile(r"'([^']*)'")

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object of names and values",
    "model_type": "an object of names and values",
    "model_attributes_type": "an object of names and values",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "string_too_short": "text of at least {min_length} character(s)",
    "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text of the form {pattern}",
    "too_short": "at least {min_length} entry",
    "too_long": "at most {max_length} {unit}",
    "finite_number": "a finite number",
    "slipway": "{expected}",
}


class Strict(BaseModel):
    """The base model: no unknown fields, no silent conversion, only finite numbers, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def wrong(expected: str, fix: str = "") -> PydanticCustomError:
    """Build the error that a validator raises.

    :param expected: what the field should have held
    :param fix: what to do, if that does not follow from ``expected``
    """
    return PydanticCustomError("slipway", "{expected}", {"expected": expected, "fix": fix})


def one_line(text: str) -> str:
    """Refuse text of several lines: AWS's patterns are Java's, whose dot matches no end of a line."""
    if _LINE_END.search(text):
        raise wrong("text of one line", "write it in one line; in YAML in quotes, for | adds an end of line")
    return text


def _not_null(value: Any) -> Any:
    if value is None:
        raise wrong("a value", "leave the field out instead of setting it to null")
    return value


_T = TypeVar("_T")
# A field that may be missing, but is never null.
MayBeAbsent = Annotated[_T | None, BeforeValidator(_not_null)]


@dataclass(frozen=True)
class Problem:
    """One problem of a document."""

    field: str
    expected: str
    found: str
    fix: str

    def __str__(self) -> str:
        return f"field {self.field}: expected {self.expected}, found {self.found} ({self.fix})"


def describe(error: ValidationError, schema: type[BaseModel], secret: frozenset[str] = frozenset()) -> str:
    """Describe what is wrong with a document, field by field.

    :param error: what pydantic raised
    :param schema: the model it raised it for
    :param secret: top-level fields whose values are never repeated
    :returns: a line for each of the first problems, and how many others there are
    """
    details = error.errors(include_url=False)
    return "\n".join(shortened([_problem(detail, schema, secret) for detail in details]))


def shortened(problems: Sequence[Any]) -> list[str]:
    """Return the first problems as texts, and how many others there are."""
    texts = [str(problem) for problem in problems[:_PROBLEMS_MAX]]
    if len(problems) > _PROBLEMS_MAX:
        texts.append(f"and {len(problems) - _PROBLEMS_MAX} more problems")
    return texts


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one is nearest to, whatever its capitals, underscores and hyphens."""
    plain = {_plain(one): one for one in known}
    near = difflib.get_close_matches(_plain(name[:_FOUND_MAX_CHARS]), plain, n=1)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def shown(value: Any) -> str:
    """Return a value as a message may repeat it: short, and quoted if it is text.

    :param value: anything JSON or YAML can hold
    """
    if isinstance(value, Mapping):
        return f"an object of {len(value)} field(s)"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = ascii(value) if isinstance(value, str) else str(value)
    if len(text) > _FOUND_MAX_CHARS:
        text = f"{text[:_FOUND_MAX_CHARS]}…"
    kind = "the text" if isinstance(value, str) else "the number" if isinstance(value, int | float) else "the value"
    return f"{kind} {text}"


def _problem(detail: ErrorDetails, schema: type[BaseModel], secret: frozenset[str]) -> Problem:
    path, owner = _follow(detail["loc"], schema)
    field = _dotted(path) or "(the whole document)"
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "missing":
        return Problem(field, "a value", "nothing", f"add the field {path[-1]}")
    if kind == "extra_forbidden":
        known = _field_names(owner)
        near = nearest(str(path[-1]), known)
        advice = f"did you mean {near}?" if near else "remove it"
        return Problem(shown_name(field), f"one of the fields {', '.join(known)}", "an unknown field", advice)
    hidden = bool(path) and path[0] in secret
    found = f"a value of type {type(detail['input']).__name__}" if hidden else shown(detail["input"])
    if kind == "value_error":
        expected = str(context["error"])
    else:
        # Behind a validator of ours, pydantic limits a text as it limits a list.
        unit = "characters" if isinstance(detail["input"], str) else "entries"
        expected = _EXPECTED[kind].format_map({"unit": unit, **context}) if kind in _EXPECTED else detail["msg"]
    fix = context.get("fix") or _advice(kind, detail["input"], context, hidden=hidden)
    fix = fix or f"give {shown_name(_dotted(path[-1:]))} such a value"
    return Problem(shown_name(field), expected, found, fix)


def _advice(kind: str, value: Any, context: Mapping[str, Any], *, hidden: bool) -> str | None:
    if kind == "string_type":
        return "put the value in quotes"
    if kind not in ("literal_error", "enum") or hidden or not isinstance(value, str):
        return None
    near = nearest(value, _CHOICE.findall(context["expected"]))
    return f"did you mean {near}?" if near else None


def shown_name(name: str) -> str:
    """Return a name from outside as a message may repeat it: printable and short."""
    text = name if name.isprintable() and name.isascii() else ascii(name)
    return text if len(text) <= _FOUND_MAX_CHARS else f"{text[:_FOUND_MAX_CHARS]}…"


def _dotted(path: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _field_names(owner: type[BaseModel] | None) -> list[str]:
    if owner is None:
        return []
    return [field.alias or name for name, field in owner.model_fields.items()]


def _follow(loc: Sequence[int | str], schema: type[BaseModel]) -> tuple[list[int | str], type[BaseModel] | None]:
    """Return an error's location without the labels that pydantic adds for unions, and the model that it ends in."""
    path: list[int | str] = []
    owner: type[BaseModel] | None = schema
    labels: frozenset[str] = frozenset()
    for index, part in enumerate(loc):
        # Only behind such a field: elsewhere an unknown field or a key may have a label's name.
        if isinstance(part, str) and part in labels:
            labels = frozenset()
            continue
        path.append(part)
        if index == len(loc) - 1:
            break
        if isinstance(part, str) and owner is not None:
            field = {field.alias or name: field for name, field in owner.model_fields.items()}.get(part)
            owner = _model_in(field.annotation) if field else None
            labels = _labels_in(field.annotation) if field else frozenset()
        elif isinstance(part, str):
            labels = frozenset()
    return path, owner


def _labels_in(annotation: Any) -> frozenset[str]:
    """Return the labels of a union such as ``Annotated[str, Tag("text")] | Annotated[X, Tag("reference")]``."""
    found = {one.tag for one in getattr(annotation, "__metadata__", ()) if isinstance(one, Tag)}
    return frozenset(found).union(*map(_labels_in, typing.get_args(annotation)))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the pydantic model in an annotation such as ``list[X] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (Union, types.UnionType, list, dict, Annotated):
        for argument in typing.get_args(annotation):
            found = _model_in(argument)
            if found:
                return found
    return None
