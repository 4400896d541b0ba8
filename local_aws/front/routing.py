"""Which operation an HTTP request asks for, and on which resource, read from botocore's models.

https://smithy.io/2.0/spec/http-bindings.html
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote

import botocore.session
from botocore.exceptions import UnknownServiceError

from local_aws.framework import forms
from local_aws.host.requests import HttpRequest

# The members that name a call's resource where the operation's noun does not, the most specific first.
_RESOURCE_MEMBERS = {
    "cloudformation": ("StackName", "ChangeSetName"),
    "sagemaker": (
        "ResourceArn",
        "ModelPackageName",
        "ModelPackageArn",
        "ModelPackageGroupName",
        "EndpointName",
        "TrainingJobName",
    ),
    "codebuild": ("projectName", "name", "names", "ids", "id", "resourceArn"),
    "ecr": ("repositoryName", "repositoryNames", "resourceArn"),
    "application-autoscaling": ("ResourceId", "ResourceIds", "ResourceARN", "ServiceNamespace"),
    "logs": ("logGroupName", "logGroupNamePrefix"),
    "monitoring": ("AlarmName", "AlarmNames", "DashboardName", "Namespace"),
    "iam": ("RoleName", "PolicyArn", "UserName", "PolicyName"),
    "sns": ("TopicArn", "Name"),
}
_TEXTS = re.compile(rb'"(\w{1,64})"\s*:\s*"([^"\\]{1,512})"')
_READS = re.compile(
    r"(Get|Describe|List|Head|BatchGet|BatchCheck|Lookup|Filter|Select|Validate|Estimate|Invoke|Query|Scan)"
)


def operation_and_resource(service: str, request: HttpRequest) -> tuple[str, str]:
    """Name a request's operation and the resource it is about.

    :param service: as the gateway routes it
    :param request: the request
    :returns: such as ``("PutObject", "bucket/key")``; for an unknown operation its method and path
    """
    target = request.headers.get("x-amz-target", "")
    if target:
        operation = target.rpartition(".")[2]
        return operation, resource(service, operation, _json(request.body))
    parameters = _form(request)
    if "Action" in parameters:
        return parameters["Action"], resource(service, parameters["Action"], parameters)
    if match := re.fullmatch(r"/service/[^/]+/operation/([^/]+)", request.path):
        return match[1], ""
    for route in _routes(service):
        if route.matches(request):
            return route.operation, unquote(request.path).strip("/")
    return request.method, unquote(request.path).strip("/")


def resource(service: str, operation: str, parameters: dict[str, Any]) -> str:
    """Name the resource of a call.

    :param service: as the gateway routes it
    :param operation: such as ``CreateModel``
    :param parameters: the request
    :returns: a name, or an empty string when no one resource is meant
    """
    noun = re.sub(r"^[A-Z][a-z]+", "", operation)
    members = _RESOURCE_MEMBERS.get(service, ())
    ordered = (*members, f"{noun}Name") if service == "cloudformation" else (f"{noun}Name", *members)
    for member in ordered:
        value = parameters.get(member)
        if isinstance(value, list) and value:
            value = ",".join(str(item) for item in value)
        if isinstance(value, str) and value:
            return value
    return ""


def changes_something(operation: str) -> bool:
    """Tell a call that may change state from one that only reads.

    :param operation: such as ``CreateModel``
    :returns: False for the reading verbs
    """
    return _READS.match(operation) is None


@dataclass(frozen=True)
class _Route:
    """One operation of a REST service and what a request must have to be it."""

    operation: str
    method: str
    path: re.Pattern[str]
    query_values: tuple[tuple[str, str], ...]
    required_query: frozenset[str]
    required_headers: frozenset[str]
    deprecated: bool

    @property
    def rank(self) -> tuple[int, bool, int]:
        """Sort key of routes: of two that match, the one with more conditions comes first."""
        constraints = len(self.query_values) + len(self.required_query) + len(self.required_headers)
        return -constraints, self.deprecated, -len(self.path.pattern)

    def matches(self, request: HttpRequest) -> bool:
        """Tell whether a request is this operation."""
        return (
            request.method == self.method
            and self.path.fullmatch(request.path) is not None
            and all(value in request.query.get(key, ()) for key, value in self.query_values)
            and self.required_query <= request.query.keys()
            and self.required_headers <= request.headers.keys()
        )


@cache
def _routes(service: str) -> tuple[_Route, ...]:
    try:
        model = botocore.session.get_session().get_service_model(service)
    except UnknownServiceError:
        return ()
    if not model.metadata["protocol"].startswith("rest"):
        return ()
    routes = [_route(model.operation_model(name)) for name in model.operation_names]
    return tuple(sorted(routes, key=lambda route: route.rank))


def _route(operation: Any) -> _Route:
    uri, _, query = operation.http["requestUri"].partition("?")
    pattern = "".join(
        _path_part(part) for part in re.split(r"(\{[^}]+\})", uri.rstrip("/") if uri != "/" else uri) if part
    )
    required: dict[str, set[str]] = {"querystring": set(), "header": set()}
    shape = operation.input_shape
    for name in shape.required_members if shape else ():
        serialization = shape.members[name].serialization
        if serialization.get("location") in required:
            required[serialization["location"]].add(serialization["name"])
    return _Route(
        operation=operation.name,
        method=operation.http["method"],
        path=re.compile(pattern + "/?"),
        query_values=tuple((key, value) for key, values in parse_qs(query, True).items() for value in values),
        required_query=frozenset(required["querystring"]),
        required_headers=frozenset(header.lower() for header in required["header"]),
        deprecated=operation.deprecated,
    )


def _path_part(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    return ".+" if part.endswith("+}") else "[^/]+"


def _json(body: bytes) -> dict[str, Any]:
    try:
        parameters = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        # Only the beginning of a long request is kept, such as of a layer's part.
        return {name.decode(): value.decode("utf-8", "replace") for name, value in _TEXTS.findall(body)}
    return parameters if isinstance(parameters, dict) else {}


def _form(request: HttpRequest) -> dict[str, Any]:
    parameters = {key: values[0] for key, values in request.query.items()}
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        sent = forms.parse_qs(request.body.decode("utf-8", "replace"))
        parameters |= {key: values[0] for key, values in sent.items()}
    return parameters
