"""Checks requests against botocore's model of a service, with AWS's error texts.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
"""

import math
import re
import unicodedata
from datetime import datetime
from functools import cache
from typing import Any

from botocore.utils import parse_timestamp

_EXPECTED_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str, datetime),
    "blob": (str, bytes),
}
# botocore's models give Java regular expressions; these are the parts Python spells differently.
# Higher planes contain only tags and private characters, which the patterns do not use.
_LAST_ASSIGNED = 0x3FFFF
_SURROGATE_PAIRS = r"\uD800\uDC00-\uDBFF\uDFFF"
_ASCII_CLASSES = {"Alnum": "a-zA-Z0-9", "Print": " -~"}
_MAX_MATCHED = 10_000
_QUANTIFIED_END = re.compile(r"\$\{\d+,\d+\}")
_PROPERTY = re.compile(r"\\p\{(\w+)\}")


# Shapes are typed Any: botocore gives each kind of shape its members at run time.


class WrongType(Exception):
    """A value of the wrong type; AWS refuses such a request before it checks constraints."""


class Validator:
    """Checks one request and converts it: times become epoch seconds, members without a value are left out."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def check(self, shape: Any, value: Any, path: str = "") -> Any:
        """Check a value and everything in it, collecting failures.

        :param shape: botocore's model of it
        :param value: what was sent
        :param path: where it is in the request, as AWS writes it
        :returns: the converted value
        :raises WrongType: it is of another JSON type than the model says
        """
        self._check_type(shape, value, path)
        if shape.type_name == "structure":
            return self._structure(shape, value, path)
        if shape.type_name == "list":
            self._check_limits(shape, value, len(value), "length", path)
            return [self.check(shape.member, item, f"{path}.{n}.member") for n, item in enumerate(value, start=1)]
        if shape.type_name == "map":
            return self._map(shape, value, path)
        if shape.type_name == "timestamp":
            return value if isinstance(value, int | float) else parse_timestamp(value).timestamp()
        if shape.type_name == "string":
            self._check_string(shape, value, path)
        elif shape.type_name in ("integer", "long", "float", "double"):
            self._check_limits(shape, value, value, "value", path)
        return value

    def _check_type(self, shape: Any, value: Any, path: str) -> None:
        expected = _EXPECTED_TYPES[shape.type_name]
        # In Python True is an int; in JSON it is not a number.
        if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
            raise WrongType(f"{_json_type(value)} can not be converted to {_article(shape.type_name)} at '{path}'")

    def _structure(self, shape: Any, value: dict[str, Any], path: str) -> dict[str, Any]:
        for name in shape.required_members:
            if value.get(name) is None:
                self.failures.append(
                    f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
                )
        converted = {}
        for name, item in value.items():
            if name not in shape.members:
                raise WrongType(f"Unknown member '{_join(path, name)}'")
            if item is not None:
                converted[name] = self.check(shape.members[name], item, _join(path, name))
        return converted

    def _map(self, shape: Any, value: dict[str, Any], path: str) -> dict[str, Any]:
        self._check_limits(shape, value, len(value), "length", path)
        return {
            self.check(shape.key, key, f"{path}.{key}.key"): self.check(shape.value, item, f"{path}.{key}.member")
            for key, item in value.items()
        }

    def _check_string(self, shape: Any, value: str, path: str) -> None:
        self._check_limits(shape, value, len(value), "length", path)
        pattern = shape.metadata.get("pattern")
        # A text that is far too long fails for its length and is not matched.
        if pattern and len(value) <= _MAX_MATCHED and not _compiled(pattern).fullmatch(value):
            self._fail(value, path, f"Member must satisfy regular expression pattern: {pattern}")
        if shape.enum and value not in shape.enum:
            self._fail(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")

    def _check_limits(self, shape: Any, value: Any, measure: float, what: str, path: str) -> None:
        minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")
        if minimum is not None and measure < minimum:
            self._fail(value, path, f"Member must have {what} greater than or equal to {minimum}")
        if maximum is not None and measure > maximum:
            self._fail(value, path, f"Member must have {what} less than or equal to {maximum}")

    def _fail(self, value: Any, path: str, constraint: str) -> None:
        self.failures.append(f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}")


def project(shape: Any, value: Any) -> Any:
    """Reduce an answer to the members that the model allows.

    :param shape: botocore's model of the answer; None for an empty one
    :param value: the operation's result, which may hold more than AWS shows
    :returns: JSON values; members that are None or unknown to the model are left out
    """
    if shape is None:
        return {}
    if shape.type_name == "structure":
        return {
            name: project(member, value[name]) for name, member in shape.members.items() if value.get(name) is not None
        }
    if shape.type_name == "list":
        return [project(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {key: project(shape.value, item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        # https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html: JSON has no such number.
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value.timestamp() if isinstance(value, datetime) else value


def _join(path: str, member: str) -> str:
    member = member[:1].lower() + member[1:]
    return f"{path}.{member}" if path else member


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    names = {dict: "START_OBJECT", list: "START_ARRAY", str: "STRING_VALUE", int: "NUMBER_VALUE"}
    return names.get(type(value), "DECIMAL_VALUE")


def _article(type_name: str) -> str:
    return f"an {type_name.capitalize()}" if type_name[0] in "aeiou" else f"a {type_name.capitalize()}"


@cache
def _compiled(java_pattern: str) -> re.Pattern[str]:
    pattern = _QUANTIFIED_END.sub("", java_pattern).replace(_SURROGATE_PAIRS, "\U00010000-\U0010ffff")
    # Java also accepts a property outside of a class.
    pattern = re.sub(r"^(\\p\{\w+\})(?=[+*]$)", r"[\1]", pattern)
    return re.compile(_PROPERTY.sub(lambda match: _characters(match[1]), pattern))


@cache
def _characters(category: str) -> str:
    """List a Unicode category as the ranges of a character class, for ``\\p`` which Python's re lacks."""
    if category in _ASCII_CLASSES:
        return _ASCII_CLASSES[category]
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in _categories()[category])


@cache
def _categories() -> dict[str, list[list[int]]]:
    """Find the ranges of each general category in one pass."""
    ranges: dict[str, list[list[int]]] = {}
    previous = ""
    for code in range(_LAST_ASSIGNED + 1):
        category = unicodedata.category(chr(code))[0]
        if category == previous:
            ranges[category][-1][1] = code
        else:
            ranges.setdefault(category, []).append([code, code])
        previous = category
    return ranges
