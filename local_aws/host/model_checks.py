"""Requests of ministack's services held against botocore's own models: lengths, ranges, patterns, required members.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CommonErrors.html, ValidationError
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from botocore.exceptions import UnknownServiceError

from local_aws.framework import forms
from local_aws.framework.api import service_model
from local_aws.framework.validation import Validator, WrongType

PRIVATE_PARTS = {
    "ministack.app": ("SERVICE_HANDLERS",),
    "ministack.core.responses": ("error_response_json", "error_response_xml"),
}

# ministack's service → its error code for what its model does not allow; CloudWatch is in `cloudwatch_checks`.
_CODES = {"cloudformation": "ValidationError", "iam": "ValidationError", "logs": "InvalidParameterException"}
# Templates and policies have checks and limits of their own.
_DOCUMENTS = ("TemplateBody", "StackPolicyBody", "StackPolicyDuringUpdateBody")

Answer = tuple[int, dict[str, str], bytes]


def check_requests(modules: Mapping[str, Any]) -> None:
    """Let CloudFormation, IAM and Logs refuse what their models do not allow.

    :param modules: ministack's modules by name
    """
    handlers, responses = modules["ministack.app"].SERVICE_HANDLERS, modules["ministack.core.responses"]
    for service, code in _CODES.items():
        handlers[service] = _checked(service, code, handlers[service], responses)


def _checked(service: str, code: str, handle: Callable[..., Awaitable[Answer]], responses: Any) -> Any:
    async def answered(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Answer:
        if target := headers.get("x-amz-target"):
            operation, document = target.rpartition(".")[2], _decoded(body)
        else:
            sent = {**query, **forms.parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)}
            given = {name: values[0] if isinstance(values, list) else values for name, values in sent.items()}
            operation = given.get("Action", "")
            document = query_document(service, operation, given)
        if wrong := problem(service, operation, document):
            answer: Answer = (
                responses.error_response_json(code, wrong, 400)
                if target
                else responses.error_response_xml(code, wrong, 400)
            )
            return answer
        return await handle(method, path, headers, body, query)

    return answered


def problem(service: str, operation: str, document: Any) -> str | None:
    """Say what a service's model does not allow of a request.

    :param service: boto3's name for the service
    :param operation: such as ``CreateRole``
    :param document: the request's members; those that the model does not know are ignored
    :returns: AWS's text; None for a request that the model allows, or that the model does not know
    """
    shape = _input_shape(service, operation)
    if shape is None or not isinstance(document, dict):
        return None
    validator = Validator()
    known = {name: value for name, value in document.items() if name in shape.members and name not in _DOCUMENTS}
    try:
        validator.check(shape, known)
    except (WrongType, ValueError, re.error):
        # A member of another type is the service's to refuse, and some patterns are not Python's.
        return None
    failures = [text for text in validator.failures if not any(f"'{_camel(name)}'" in text for name in _DOCUMENTS)]
    if not failures:
        return None
    errors = "error" if len(failures) == 1 else "errors"
    return f"{len(failures)} validation {errors} detected: {'; '.join(failures)}"


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


def _input_shape(service: str, operation: str) -> Any:
    try:
        model = service_model(service)
    except UnknownServiceError:
        return None
    return model.operation_model(operation).input_shape if operation in model.operation_names else None


def query_document(service: str, operation: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Read the members of a request of the Query protocol.

    https://smithy.io/2.0/aws/protocols/aws-query-protocol.html

    :param service: boto3's name for the service
    :param operation: such as ``PutMetricAlarm``
    :param given: the request's names, such as ``Dimensions.member.1.Name``, and their values
    """
    shape = _input_shape(service, operation)
    if shape is None:
        return {}
    # Looked up for each member, of which there are thousands in a request with many metrics.
    beginnings = {key[:place] for key in given for place, sign in enumerate(key) if sign == "."}
    found: dict[str, Any] = _read(shape, "", given, beginnings)
    return found


def _read(shape: Any, name: str, given: Mapping[str, str], beginnings: set[str]) -> Any:
    """Read the value of a member; None where there is nothing.

    :param beginnings: the names that are followed by a dot and more
    """
    if shape.type_name == "structure":
        found = {
            member: _read(one, f"{name}.{one.serialization.get('name', member)}".lstrip("."), given, beginnings)
            for member, one in shape.members.items()
            if not name or name in beginnings
        }
        present = {member: value for member, value in found.items() if value is not None}
        return present if present or not name else None
    if shape.type_name == "list":
        items: list[Any] = []
        prefix = name if shape.serialization.get("flattened") else f"{name}.member"
        while (item := _read(shape.member, f"{prefix}.{len(items) + 1}", given, beginnings)) is not None:
            items.append(item)
        return items if items or name in given else None
    text = given.get(name)
    if text is None or shape.type_name == "map":
        return None
    return _value(shape.type_name, text)


def _value(kind: str, text: str) -> Any:
    try:
        if kind in ("integer", "long"):
            return int(text)
        if kind in ("double", "float"):
            return float(text)
    except ValueError:
        return text
    return text.lower() == "true" if kind == "boolean" else text


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return None
