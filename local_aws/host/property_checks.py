"""Whether the properties of a resource have the form that CloudFormation's schema of its type says.

https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

# Those of the types that Slipway's templates use, reduced to names, types, required ones and enumerations;
# tests/local_aws/host/test_stack_steps.py compares them with the schemas of cfn-lint, which are AWS's own.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-template-resource-type-ref.html
SCHEMAS: dict[str, Schema] = json.loads(Path(__file__).with_name("resource_schemas.json").read_text())

_TYPES = {str: "String", bool: "Boolean", int: "Integer", float: "Double", list: "JSONArray", dict: "JSONObject"}
_WANTED = {
    "array": "JSONArray",
    "boolean": "Boolean",
    "integer": "Integer",
    "number": "Number",
    "object": "JSONObject",
    "string": "String",
}


def check_properties(type_name: str, logical_id: str, properties: Any) -> None:
    """Refuse properties that a type does not have, lacks or has in another form.

    :raises ValueError: with CloudFormation's text for all of them
    """
    schema = SCHEMAS.get(type_name)
    found = [*_problems(schema, properties or {}, "#", schema.get("definitions", {}))] if schema else []
    if found:
        raise ValueError(f"Properties validation failed for resource {logical_id} with message:\n[{', '.join(found)}]")


def _problems(schema: Schema, value: Any, path: str, definitions: dict[str, Schema]) -> Iterator[str]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_is(kind, value) for kind in types):
        wanted = ", ".join(_WANTED[kind] for kind in types)
        yield f"{path}: expected type: {wanted}, found: {_TYPES.get(type(value), type(value).__name__)}"
        return
    if "enum" in schema and str(value) not in {str(one) for one in schema["enum"]}:
        yield f"{path}: {value} is not a valid enum value"
    if isinstance(value, dict):
        for name in schema.get("required", []):
            if name not in value:
                yield f"{path}: required key [{name}] not found"
        known = schema.get("properties", {})
        for name, one in value.items():
            if name in known:
                yield from _problems(known[name], one, f"{path}/{name}", definitions)
            elif schema.get("additionalProperties") is False:
                yield f"{path}: extraneous key [{name}] is not permitted"
    elif isinstance(value, list) and "items" in schema:
        for number, one in enumerate(value):
            yield from _problems(schema["items"], one, f"{path}/{number}", definitions)


def _is(kind: str, value: Any) -> bool:
    """Tell whether a value has a type; CloudFormation reads texts of numbers and of truth values, and back.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
    """
    if kind == "object":
        return isinstance(value, dict)
    if kind == "array":
        return isinstance(value, list)
    if isinstance(value, dict | list):
        return False
    if kind == "boolean":
        return str(value).lower() in ("true", "false")
    if kind in ("integer", "number"):
        try:
            return not isinstance(value, bool) and (float(value) == int(float(value)) or kind == "number")
        except (OverflowError, ValueError):
            return False
    return True
