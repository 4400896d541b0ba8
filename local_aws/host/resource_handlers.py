"""Resource types in the form that the host's engine calls: positional dicts, and ValueError for a failure."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from local_aws.framework.api import RequestContext, ServiceError
from local_aws.framework.cloudformation import ReadableType, ResourceProgress, ResourceRequest, ResourceType
from local_aws.host.stack_operations import current_step

_Properties = dict[str, Any]
_Stable = tuple[str, dict[str, str]]


def handlers(resource_type: ResourceType, context: Callable[[], RequestContext]) -> dict[str, Any]:
    """Wrap a resource type for the engine.

    :param resource_type: what makes the resources
    :param context: says for whom the stack operation of the current thread acts
    :returns: the engine's entry for the type
    """

    def create(logical_id: str, properties: _Properties, stack_name: str) -> _Stable:
        return stable(resource_type.create, request(stack_name, logical_id, properties))

    def update(physical_id: str, old: _Properties, new: _Properties, stack_name: str, logical_id: str) -> _Stable:
        return stable(resource_type.update, request(stack_name, logical_id, new, physical_id, old))

    def delete(physical_id: str, properties: _Properties, logical_id: str | None) -> None:
        with _as_value_error():
            resource_type.delete(request("", logical_id or "", properties, physical_id))

    def request(
        stack_name: str,
        logical_id: str,
        properties: _Properties,
        physical_id: str | None = None,
        old: _Properties | None = None,
    ) -> ResourceRequest:
        step = current_step()
        return ResourceRequest(context(), stack_name, logical_id, properties, step.token, step.again, physical_id, old)

    def stable(step: Callable[[ResourceRequest], ResourceProgress], request: ResourceRequest) -> _Stable:
        with _as_value_error():
            progress = step(request)
        return progress.physical_id, progress.attributes

    return {
        "create": create,
        "update": update,
        "update_with_logical_id": True,
        "delete": delete,
        "delete_with_logical_id": True,
    }


def reader(
    resource_type: ReadableType, context: Callable[[], RequestContext]
) -> Callable[[str, _Properties], _Properties | None]:
    """Wrap what reads the live properties of a resource type for drift detection.

    :param resource_type: what reads them
    :param context: says for whom the detection of the current thread acts
    :returns: physical id and declared properties to live properties
    """

    def read(physical_id: str, declared: _Properties) -> _Properties | None:
        with _as_value_error():
            return resource_type.read(ResourceRequest(context(), "", "", declared, "", physical_id=physical_id))

    return read


@contextmanager
def _as_value_error() -> Iterator[None]:
    """Raise a service's error as ValueError, whose text the engine shows as the resource's status reason."""
    try:
        yield
    except ServiceError as error:
        raise ValueError(error.message) from error
