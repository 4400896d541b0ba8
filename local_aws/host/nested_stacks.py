"""The resources of nested stacks: checked and allowed as those of other stacks.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-nested-stacks.html

ministack makes them by functions of its own, one after the other, while it makes the nested stack.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from local_aws.host.stack_roles import StackRoles
from local_aws.host.stack_steps import StackSteps

PRIVATE_PARTS = {
    "ministack.services.cloudformation.provisioners": (
        "_RESOURCE_HANDLERS",
        "_delete_resource",
        "_provision_resource",
        "_update_resource",
    ),
}

_STACK = "AWS::CloudFormation::Stack"
# Whether a nested stack is being made, changed or deleted: the same functions also make what another stack replaces.
_INSIDE: ContextVar[bool] = ContextVar("inside_nested_stack", default=False)


def check_nested_stacks(modules: Mapping[str, Any], roles: StackRoles) -> None:
    """Let nested stacks make only what is right and allowed.

    :param modules: ministack's modules by name
    :param roles: whose permissions count
    """
    provisioners = modules["ministack.services.cloudformation.provisioners"]
    steps = StackSteps(modules)
    for name, step, checked in (
        ("_provision_resource", "create", steps.create),
        ("_update_resource", "update", steps.update),
        ("_delete_resource", "delete", steps.delete),
    ):
        original = getattr(provisioners, name)
        setattr(provisioners, name, _for_nested(original, checked(_allowed(original, step, roles))))
    handlers = provisioners._RESOURCE_HANDLERS
    handlers[_STACK] = {
        name: _marked(value, True) if name in ("create", "update", "delete") else value
        for name, value in handlers[_STACK].items()
    }


def _allowed(original: Callable[..., Any], step: str, roles: StackRoles) -> Callable[..., Any]:
    """Ask for the permission that a step needs."""

    def called(type_name: str, resource: str, *arguments: Any, **keywords: Any) -> Any:
        # The properties of an update come after the former ones; a creation knows no physical id yet.
        properties = arguments[1] if step == "update" else arguments[0]
        roles.authorize(step, type_name, resource, properties or {}, arguments[1] if step == "create" else "")
        return _marked(original, False)(type_name, resource, *arguments, **keywords)

    return called


def _for_nested(original: Callable[..., Any], checked: Callable[..., Any]) -> Callable[..., Any]:
    def called(*arguments: Any, **keywords: Any) -> Any:
        return (checked if _INSIDE.get() else original)(*arguments, **keywords)

    return called


def _marked(function: Callable[..., Any], inside: bool) -> Callable[..., Any]:
    """Call a function inside or outside of a nested stack; a nested stack in it is inside again."""

    def called(*arguments: Any, **keywords: Any) -> Any:
        token = _INSIDE.set(inside)
        try:
            return function(*arguments, **keywords)
        finally:
            _INSIDE.reset(token)

    return called
