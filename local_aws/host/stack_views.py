"""Reads CloudFormation's stacks for people: no copies of the state, and no request."""

from collections.abc import Mapping, Sequence
from typing import Any

from local_aws.framework.store import Scope

PRIVATE_PARTS = {"ministack.services.cloudformation": ("_stack_events", "_stacks")}

# A deleted stack is kept under its id too, as DescribeStacks finds it.
_HIDDEN = "****"


class StackViews:
    """What the console shows of stacks; any thread may ask.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._cloudformation = modules["ministack.services.cloudformation"]

    def stacks(self, scope: Scope) -> list[Mapping[str, Any]]:
        """Return the stacks, the last changed first."""
        found = {stack["StackId"]: stack for stack in _of(self._cloudformation._stacks, scope)}
        return sorted(found.values(), key=lambda stack: stack.get("LastUpdatedTime", ""), reverse=True)

    def stack(self, scope: Scope, name: str) -> Mapping[str, Any] | None:
        """Return a stack by its name or id, with the values of NoEcho parameters hidden.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
        """
        for stack in self.stacks(scope):
            if name in (stack["StackId"], stack["StackName"]):
                parameters = [
                    {**one, "ParameterValue": _HIDDEN} if one.get("NoEcho") else one
                    for one in stack.get("Parameters", [])
                ]
                return {**stack, "Parameters": parameters}
        return None

    def resources(self, stack: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return a stack's resources, by logical id."""
        return [resource for _, resource in sorted(dict(stack.get("_resources", {})).items())]

    def events(self, scope: Scope, stack_id: str) -> Sequence[Mapping[str, Any]]:
        """Return a stack's events, the oldest first."""
        found: Sequence[Mapping[str, Any]] = self._cloudformation._stack_events._data.get(
            (scope.account_id, scope.region, stack_id), []
        )
        return found


def _of(store: Any, scope: Scope) -> list[Any]:
    wanted = (scope.account_id, scope.region)
    return [value for key, value in list(store._data.items()) if key[:2] == wanted]
