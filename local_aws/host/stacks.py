"""ministack's CloudFormation: resource types added to it, change sets that compare as AWS's do, and its engine."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from local_aws.framework.cloudformation import ReadableType, ResourceType
from local_aws.host.drift import DriftDetection
from local_aws.host.drift_aware import DriftAwareChangeSets
from local_aws.host.persistence import Persistence
from local_aws.host.resource_handlers import handlers, reader
from local_aws.host.stack_engine import StackEngine
from local_aws.host.stack_operations import Journal
from local_aws.host.stack_roles import StackRoles
from local_aws.settings import Clock

PRIVATE_PARTS = {
    "ministack.services.cloudformation": ("_stacks",),
    "ministack.services.cloudformation.changesets": (
        "_diff_resources",
        "_evaluate_conditions",
        "_resolve_props_for_diff",
    ),
    "ministack.services.cloudformation.provisioners": (
        "_CUSTOM_NAME_REPLACEMENT",
        "_REPLACING_PROPERTIES",
        "_RESOURCE_HANDLERS",
        "_STACK_TAG_PROPERTY",
    ),
    "ministack.services.cloudformation.stacks": ("_runs_on_worker_thread",),
}


class Stacks:
    """ministack's CloudFormation with resource types added to it.

    :param modules: ministack's modules by name
    :param roles: say for whom a stack operation acts
    :param persistence: makes the state durable
    :param journal: where CloudFormation's operations are written down
    :param pace_seconds: how long a drift detection stays in progress beyond the work itself
    :param clock: how fast AWS's minutes pass
    """

    def __init__(
        self,
        modules: Mapping[str, Any],
        roles: StackRoles,
        persistence: Persistence,
        journal: Journal,
        pace_seconds: float,
        clock: Clock,
    ) -> None:
        self._roles = roles
        self._cloudformation = modules["ministack.services.cloudformation"]
        self._provisioners = modules["ministack.services.cloudformation.provisioners"]
        changesets = modules["ministack.services.cloudformation.changesets"]
        changesets._resolve_props_for_diff = _with_conditions(
            changesets._resolve_props_for_diff, changesets._evaluate_conditions
        )
        changesets._diff_resources = _with_outputs(changesets._diff_resources)
        DriftAwareChangeSets(modules)
        self._added_types: set[str] = set()
        stacks = modules["ministack.services.cloudformation.stacks"]
        blocks = stacks._runs_on_worker_thread
        # A handler that blocks on the event loop would stop every service at once.
        stacks._runs_on_worker_thread = lambda name: name in self._added_types or blocks(name)

        self.engine = StackEngine(modules, journal, roles, clock, persistence.save_service)
        self.drift = DriftDetection(modules, lambda: persistence.save_service("cloudformation"), pace_seconds)

    def add_resource_type(self, type_name: str, resource_type: ResourceType) -> None:
        """Let CloudFormation make resources of a type.

        :param type_name: such as ``AWS::SageMaker::Model``
        :param resource_type: what makes them
        """
        self._provisioners._RESOURCE_HANDLERS[type_name] = handlers(resource_type, self._roles.context)
        if resource_type.name_property:
            self._provisioners._CUSTOM_NAME_REPLACEMENT[type_name] = {"name": resource_type.name_property}
        if resource_type.takes_tags:
            self._provisioners._STACK_TAG_PROPERTY[type_name] = ("Tags", "list")
        self._provisioners._REPLACING_PROPERTIES[type_name] = tuple(sorted(resource_type.replacing_properties))
        self._added_types.add(type_name)
        if isinstance(resource_type, ReadableType):
            read = reader(resource_type, self._roles.detection_context)
            self.drift.add_reader(type_name, read, resource_type.compared_properties)


def _with_conditions(resolve: Callable[..., dict[str, Any]], evaluate: Callable[..., dict[str, bool]]) -> Any:
    """Let change sets see that a Condition adds or removes a resource.

    ministack compares every resource that a template names, whether its condition holds or not.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/conditions-section-structure.html

    :param resolve: ministack's own, which gives a template's resources as they are compared
    :param evaluate: gives a template's conditions for parameters
    :returns: what replaces ``resolve``
    """

    def resolved(template: dict[str, Any], params: dict[str, Any], *identity: str) -> dict[str, Any]:
        found = resolve(template, params, *identity)
        conditions = evaluate(template, params) if template else {}
        declared = (template or {}).get("Resources", {})
        wanted = {
            name: resource
            for name, resource in found.get("Resources", {}).items()
            if conditions.get(declared[name].get("Condition"), True)
        }
        return {**found, "Resources": wanted} if found else found

    return resolved


class _OutputsOnly(list[Any]):
    """The changes of a change set that changes no resource but can be executed."""

    def __bool__(self) -> bool:
        return True


def _with_outputs(diff: Callable[..., list[Any]]) -> Any:
    """Let a change set that changes only the stack's outputs be executed; it lists no changes.

    ministack treats it as empty. What CloudFormation does: https://github.com/aws/aws-cdk/pull/2029

    :param diff: ministack's own, which gives the changed resources
    :returns: what replaces ``diff``
    """

    def differing(
        old: Any, new: Any, resources: Any, template: dict[str, Any], changed_params: set[str], retag: Any
    ) -> list[Any]:
        changes = diff(old, new, resources, template, changed_params, retag)
        outputs = json.dumps(template.get("Outputs", {}))
        if changes or not any(json.dumps({"Ref": name}) in outputs for name in changed_params):
            return changes
        return _OutputsOnly()

    return differing
