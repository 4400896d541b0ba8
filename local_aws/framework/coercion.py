"""Converts a template's values, which may be strings, to the types of an API."""

from typing import Any

from local_aws.framework.api import ServiceError


def coerced(shape: Any, value: Any, path: str = "") -> Any:
    """Convert a template's value as CloudFormation does, such as ``"1"`` to a number.

    :param shape: botocore's model of the wanted value
    :param value: the value, with every intrinsic function resolved
    :param path: where it is, for the text of an error
    :returns: the converted value
    :raises ServiceError: a property is unknown, or a value cannot be converted
    """
    if shape.type_name == "structure" and isinstance(value, dict):
        for name in value:
            if name not in shape.members:
                raise ServiceError("ValidationError", f"Encountered unsupported property {_join(path, name)}")
        return {name: coerced(shape.members[name], item, _join(path, name)) for name, item in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [coerced(shape.member, item, f"{path}.{n}") for n, item in enumerate(value)]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: coerced(shape.value, item, _join(path, key)) for key, item in value.items()}
    try:
        return _scalar(shape.type_name, value)
    except ValueError as error:
        raise ServiceError(
            "ValidationError", f"Value of property {path} must be of type {shape.type_name.capitalize()}"
        ) from error


def as_members(shape: Any, value: Any) -> Any:
    """Rename a template's properties to the members of an API that writes them otherwise, such as ``BuildSpec``.

    :param shape: botocore's model of the wanted value
    :param value: the value
    :returns: the value; a property that no member is like keeps its name
    """
    if shape.type_name == "structure" and isinstance(value, dict):
        members = {name.lower(): name for name in shape.members}
        renamed = {members.get(name.lower(), name): item for name, item in value.items()}
        return {
            name: as_members(shape.members[name], item) if name in shape.members else item
            for name, item in renamed.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [as_members(shape.member, item) for item in value]
    return value


def _scalar(type_name: str, value: Any) -> Any:
    if type_name == "string" and isinstance(value, bool):
        return str(value).lower()
    if type_name == "string" and isinstance(value, int | float):
        return str(value)
    if type_name in ("integer", "long") and isinstance(value, str):
        return int(value)
    if type_name in ("float", "double") and isinstance(value, str):
        return float(value)
    if type_name == "boolean" and isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise ValueError(value)
        return value.lower() == "true"
    if type_name in ("structure", "list", "map"):
        raise ValueError(value)
    return value


def _join(path: str, member: str) -> str:
    return f"{path}.{member}" if path else member
