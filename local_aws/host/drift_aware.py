"""Change sets that bring a stack's resources back to its template, which ministack's do not.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/drift-aware-change-sets.html
"""

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

_CLOUDFORMATION = "ministack.services.cloudformation"
_MODE = "REVERT_DRIFT"

PRIVATE_PARTS = {
    _CLOUDFORMATION: ("_stacks",),
    f"{_CLOUDFORMATION}.changesets": ("_diff_resources", "_find_change_set", "_p", "_stack_region_context"),
    f"{_CLOUDFORMATION}.drift": ("DRIFT_DETECTABLE_STATUSES", "detect_resource_drift", "supports_drift"),
    f"{_CLOUDFORMATION}.handlers": ("_ACTION_HANDLERS",),
}

# How a resource differs from what its stack deployed: its changed properties as they are, or None if it is gone.
_Drifts = dict[str, dict[str, Any] | None]
# The drifted resources of a stack, while one of its change sets is made.
_drifts: ContextVar[_Drifts | None] = ContextVar("drifts", default=None)


class DriftAwareChangeSets:
    """Change sets with the deployment mode REVERT_DRIFT.

    They are compared with what is there instead of what the stack deployed last, and executed from there: a deleted
    resource is made again, a changed one is changed back. Types that drift detection does not know are compared with
    what the stack deployed last.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._stacks = modules[_CLOUDFORMATION]._stacks
        self._changesets = modules[f"{_CLOUDFORMATION}.changesets"]
        self._drift = modules[f"{_CLOUDFORMATION}.drift"]
        actions = modules[f"{_CLOUDFORMATION}.handlers"]._ACTION_HANDLERS
        self._create, self._execute = actions["CreateChangeSet"], actions["ExecuteChangeSet"]
        actions |= {"CreateChangeSet": self.create, "ExecuteChangeSet": self.execute}
        self._changesets._diff_resources = _from_actual(self._changesets._diff_resources)

    def create(self, params: Any) -> Any:
        """Make a change set, by the stack's actual resources if the request says so."""
        value = self._changesets._p
        stack = self._stacks.get(value(params, "StackName"))
        if value(params, "DeploymentMode") != _MODE or not stack:
            return self._create(params)
        token = _drifts.set(self._drifted(stack))
        try:
            answer = self._create(params)
        finally:
            _drifts.reset(token)
        _, made = self._changesets._find_change_set(value(params, "ChangeSetName"), value(params, "StackName"))
        if made:
            made["DeploymentMode"] = _MODE
        return answer

    def execute(self, params: Any) -> Any:
        """Execute a change set, from the stack's actual resources if it was made by them."""
        value = self._changesets._p
        _, made = self._changesets._find_change_set(value(params, "ChangeSetName"), value(params, "StackName"))
        stack = self._stacks.get(made["StackName"]) if made else None
        if stack and made.get("DeploymentMode") == _MODE and made["ExecutionStatus"] == "AVAILABLE":
            stack["_resources"] = _as_they_are(stack.get("_resources", {}), self._drifted(stack))
        return self._execute(params)

    def _drifted(self, stack: dict[str, Any]) -> _Drifts:
        if stack.get("StackStatus") not in self._drift.DRIFT_DETECTABLE_STATUSES:
            return {}
        found: _Drifts = {}
        with self._changesets._stack_region_context(stack, stack["StackId"]):
            for name, record in stack.get("_resources", {}).items():
                if self._drift.supports_drift(record.get("ResourceType", "")):
                    drift = self._drift.detect_resource_drift(stack, name, record, "")
                    if drift["StackResourceDriftStatus"] == "DELETED":
                        found[name] = None
                    elif drift["StackResourceDriftStatus"] == "MODIFIED":
                        found[name] = _changed(drift)
        return found


def _changed(drift: Mapping[str, Any]) -> dict[str, Any]:
    actual = json.loads(drift["ActualProperties"])
    return {
        name: actual.get(name) for name in {one["PropertyPath"].split("/")[1] for one in drift["PropertyDifferences"]}
    }


def _as_they_are(resources: Mapping[str, Any], drifts: _Drifts) -> dict[str, Any]:
    """Return resources without those that are gone, and with the properties that the others have."""
    return {
        name: {**resource, "Properties": {**resource.get("Properties", {}), **(drifts.get(name) or {})}}
        for name, resource in resources.items()
        if drifts.get(name, {}) is not None
    }


def _from_actual(diff: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Compare a new template with what is there, while a change set is made that says so.

    :param diff: gives the changes from what the stack deployed last
    :returns: what replaces ``diff``
    """

    def differing(old: Any, new: Any, *rest: Any) -> list[Any]:
        drifts = _drifts.get()
        if drifts:
            old = {**old, "Resources": _as_they_are(old.get("Resources", {}), drifts)}
        return diff(old, new, *rest)

    return differing
