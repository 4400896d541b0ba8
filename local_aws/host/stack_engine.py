"""The host's CloudFormation engine with a journal: interrupted operations continue after the next start."""

import asyncio
import copy
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, copy_context
from typing import Any

from local_aws.framework.disk import DiskFull
from local_aws.framework.store import Document, Scope
from local_aws.host import stack_timeouts
from local_aws.host.drift import forget_drift
from local_aws.host.late_entries import mentioning
from local_aws.host.stack_notifications import StackNotifications
from local_aws.host.stack_operations import Journal, Operation, current_operation
from local_aws.host.stack_roles import StackRoles
from local_aws.host.used_entries import begin_call
from local_aws.settings import Clock

_CLOUDFORMATION = "ministack.services.cloudformation"
# The host begins an operation with one of these. Arguments are plain values, a stack, a change set or a coroutine.
_CALLS = {
    "stacks": (
        "_continue_update_rollback_async",
        "_create_then_delete_on_failure",
        "_delete_stack_async",
        "_deploy_stack_async",
        "_roll_back_operation",
    ),
    "changesets": ("_import_resources_async", "_track_change_set_execution"),
}
# The namespace of a type, and the host's name for the only service that its steps change. A step of another type, such
# as a nested stack, may change any.
_SERVICES = {
    "AWS::CloudWatch": "monitoring",
    "AWS::IAM": "iam",
    "AWS::KMS": "kms",
    "AWS::S3": "s3",
    "AWS::Logs": "logs",
    "AWS::SNS": "sns",
    "AWS::SQS": "sqs",
}
# The host changes one resource with one of these; the first argument is the type, the second names the resource.
_STEPS = {"_delete_resource": "delete", "_provision_resource": "create", "_update_resource": "update"}

PRIVATE_PARTS = {
    "ministack.core.responses": ("set_request_account_id", "set_request_region"),
    "ministack.services.cloudformation": ("_change_sets", "_stack_events", "_stacks"),
    "ministack.services.cloudformation.changesets": ("_create_stack_task_in_region", *_CALLS["changesets"]),
    "ministack.services.cloudformation.handlers": ("_create_stack_task_in_region",),
    "ministack.services.cloudformation.stacks": (
        "_add_event",
        "_create_stack_task_in_region",
        "_runs_on_worker_thread",
        *_CALLS["stacks"],
        *_STEPS,
    ),
}

# The status of an interrupted stack without a journal: the step of another stack made it, and that one makes another.
_ABANDONED = {
    "CREATE_IN_PROGRESS": "CREATE_FAILED",
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_FAILED",
    "DELETE_IN_PROGRESS": "DELETE_FAILED",
    "UPDATE_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
    "UPDATE_ROLLBACK_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
}
_ABANDONED_REASON = "The local AWS was stopped during this operation."

_LOOK_FOR_SPACE_SECONDS = 0.5

_log = logging.getLogger(__name__)


class StackEngine:
    """ministack's engine, with a journal of its operations.

    :param modules: ministack's modules by name
    :param journal: where operations are written down
    :param roles: whose permissions count
    :param clock: how fast AWS's minutes pass
    :param save: makes durable what the current operation has changed of one service, or of every service for None
    """

    def __init__(
        self,
        modules: Mapping[str, Any],
        journal: Journal,
        roles: StackRoles,
        clock: Clock,
        save: Callable[[str | None], None],
    ) -> None:
        self._responses = modules["ministack.core.responses"]
        self._state = modules[_CLOUDFORMATION]
        self._stacks = modules[f"{_CLOUDFORMATION}.stacks"]
        self._changesets = modules[f"{_CLOUDFORMATION}.changesets"]
        self._handlers = modules[f"{_CLOUDFORMATION}.handlers"]
        self._journal = journal
        self._roles = roles
        self._clock = clock
        self._notifications = StackNotifications(modules)
        self._save = save
        self._described: dict[int, Document] = {}
        self._begun: list[tuple[Operation, Coroutine[Any, Any, None], Context]] = []
        # Held from when a stack shows the end of its operation until that is on disk.
        self.ending = asyncio.Lock()
        self._begin_task = self._stacks._create_stack_task_in_region
        self._functions = {
            name: getattr(modules[f"{_CLOUDFORMATION}.{module}"], name)
            for module, names in _CALLS.items()
            for name in names
        }
        self._install()

    def _install(self) -> None:
        for name in _STEPS:
            setattr(self._stacks, name, self._journaled(name, getattr(self._stacks, name)))
        # Only in the handling of requests. The engine's own calls, as from a deployment to its roll-back, stay.
        for module in (self._handlers, self._changesets):
            module._create_stack_task_in_region = self._begin
            for name, function in self._functions.items():
                if hasattr(module, name):
                    setattr(module, name, self._describing(name, function))

    # --- during an operation --------------------------------------------------------------------------------------

    def _describing(self, name: str, function: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Any]:
        """Remember how to make a coroutine again."""

        def call(*arguments: Any, **keywords: Any) -> Coroutine[Any, Any, None]:
            coroutine = function(*arguments, **keywords)
            self._described[id(coroutine)] = {
                "function": name,
                "arguments": [self._as_data(value) for value in arguments],
                "keywords": {key: self._as_data(value) for key, value in keywords.items()},
            }
            return coroutine

        return call

    def _as_data(self, value: Any) -> Document:
        if asyncio.iscoroutine(value):
            return {"call": self._described.pop(id(value))}
        if isinstance(value, dict) and "ChangeSetId" in value:
            return {"change_set": value["ChangeSetId"]}
        if isinstance(value, dict) and "StackId" in value:
            return {"stack": value["StackName"]}
        return {"value": list(value) if isinstance(value, frozenset) else value}

    def _begin(self, coroutine: Coroutine[Any, Any, None], stack: Document, stack_id: str) -> None:
        """Record an operation and let the host begin it, before the caller is answered."""
        call = self._described.pop(id(coroutine))
        for name, change_set in self._state._change_sets.items():
            if change_set.get("StackId") == stack_id:
                # An update has just made the stack's other change sets obsolete, which it found by a walk.
                self._state._change_sets.get(name)
        forget_drift(stack)
        self._notifications.keep(stack)
        stack_timeouts.keep(stack, self._clock)
        events = len(self._state._stack_events.get(stack_id, []))
        actor = self._roles.actor_of(stack, call)
        operation = self._journal.begin(_scope_of(stack_id), stack, events, call, actor)
        self._begin_task(self._carry_out(operation, coroutine, stack), stack, stack_id)

    async def _carry_out(self, operation: Operation, coroutine: Coroutine[Any, Any, None], stack: Document) -> None:
        operation.enter()
        await coroutine
        # A roll-back restores the resources as they were before, with what was found of their drift then.
        forget_drift(stack)
        while True:
            try:
                async with self.ending:
                    self._save("cloudformation")
                operation.end()
                return
            except DiskFull:
                # The operation stays in the journal, so a kill meanwhile repeats its end.
                await asyncio.sleep(_LOOK_FOR_SPACE_SECONDS)

    def _journaled(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def step(type_name: str, resource: str, *arguments: Any, **keywords: Any) -> Any:
            operation = current_operation()
            if operation is None:
                return function(type_name, resource, *arguments, **keywords)
            if name == "_provision_resource":
                return self._in_time(changed, operation, type_name, resource, *arguments, **keywords)
            return changed(operation, type_name, resource, *arguments, **keywords)

        def changed(operation: Operation, type_name: str, resource: str, *arguments: Any, **keywords: Any) -> Any:
            def work() -> Any:
                # A new resource has no physical id: its properties come next, and an update's new ones after the old.
                properties = arguments[1] if name == "_update_resource" else arguments[0]
                stack_name = arguments[1] if name == "_provision_resource" else ""
                self._roles.authorize(_STEPS[name], type_name, resource, properties or {}, stack_name)
                return function(type_name, resource, *arguments, **keywords)

            def save() -> None:
                # A handler with its own thread saves its state itself. The stack is saved when its operation ends.
                if not self._stacks._runs_on_worker_thread(type_name):
                    self._save(_SERVICES.get(type_name.rpartition("::")[0]))

            return operation.step(f"{name} {type_name} {resource}", work, save)

        return step

    def _in_time(
        self,
        make: Callable[..., Any],
        operation: Operation,
        type_name: str,
        resource: str,
        properties: Any,
        stack_name: str,
        **keywords: Any,
    ) -> Any:
        """Make a resource unless the time of its stack is over, then or meanwhile."""
        stack = operation.stack
        if stack_timeouts.is_over(stack):
            raise ValueError(stack_timeouts.CANCELLED)
        try:
            limited = stack_timeouts.limited(stack, type_name, properties)
            made = make(operation, type_name, resource, limited, stack_name, **keywords)
        except Exception as error:
            raise (ValueError(stack_timeouts.CANCELLED) if stack_timeouts.is_over(stack) else error) from None
        if stack_timeouts.is_over(stack):
            # The roll-back does not know a resource whose creation has failed.
            self._stacks._delete_resource(type_name, made[0], properties, stack_name, resource)
            raise ValueError(stack_timeouts.CANCELLED)
        return made

    # --- after a start ---------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Reset stacks to the beginning of their unfinished operations, after the host has loaded its state."""
        for operation in self._journal.unfinished():
            self._enter_scope(operation.scope)
            stack = copy.deepcopy(operation.stack)
            name, stack_id = stack["StackName"], stack["StackId"]
            self._state._stacks[name] = stack
            # The events after that are written again.
            self._state._stack_events[stack_id] = self._state._stack_events.get(stack_id, [])[: operation.events]
            # What it uses is its own to save, as that of a call.
            context = copy_context()
            context.run(begin_call)
            self._begun.append((operation, context.run(self._coroutine, operation.call), context))
        unfinished = {operation.stack["StackId"] for operation, *_ in self._begun}
        # Of a long history only these are read.
        for (account, region, name), stack in mentioning(self._state._stacks._data, '_IN_PROGRESS"'):
            if stack.get("StackStatus") in _ABANDONED and stack["StackId"] not in unfinished:
                self._enter_scope(Scope(account, region))
                self._abandon(name, self._state._stacks[name])

    def go_on(self) -> None:
        """Continue what was restored, once the services that make resources run."""
        for operation, coroutine, context in self._begun:
            stack = operation.stack
            _log.warning("An operation of stack %s was interrupted and continues", stack["StackName"])
            context.run(self._go_on, operation, coroutine, stack)
        self._begun = []

    def _go_on(self, operation: Operation, coroutine: Coroutine[Any, Any, None], stack: Document) -> None:
        self._enter_scope(operation.scope)
        self._begin_task(self._carry_out(operation, coroutine, stack), stack, stack["StackId"])

    def _coroutine(self, call: Document) -> Coroutine[Any, Any, None]:
        arguments = [self._from_data(value) for value in call["arguments"]]
        keywords = {key: self._from_data(value) for key, value in call["keywords"].items()}
        coroutine: Coroutine[Any, Any, None] = self._functions[call["function"]](*arguments, **keywords)
        return coroutine

    def _from_data(self, data: Document) -> Any:
        if "call" in data:
            return self._coroutine(data["call"])
        if "change_set" in data:
            change_set = self._state._change_sets.get(data["change_set"], {})
            # The process may have ended before this was saved. Whoever got no answer asks again.
            change_set["ExecutionStatus"] = "EXECUTE_IN_PROGRESS"
            return change_set
        if "stack" in data:
            return self._state._stacks[data["stack"]]
        return data["value"]

    def _enter_scope(self, scope: Scope) -> None:
        self._responses.set_request_account_id(scope.account_id)
        self._responses.set_request_region(scope.region)

    def _abandon(self, name: str, stack: Document) -> None:
        status = _ABANDONED[stack["StackStatus"]]
        stack["StackStatus"], stack["StackStatusReason"] = status, _ABANDONED_REASON
        self._stacks._add_event(
            stack["StackId"], name, name, "AWS::CloudFormation::Stack", status, _ABANDONED_REASON, stack["StackId"]
        )
        _log.warning("Stack %s was interrupted and is now %s", name, status)


def _scope_of(stack_id: str) -> Scope:
    """Read a stack's account and region from its ARN.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudformation.html
    """
    _, _, _, region, account, _ = stack_id.split(":", 5)
    return Scope(account, region)
