"""The roles of stacks: kept, shown by DescribeStacks, and what their steps are allowed.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local_aws.framework.api import Recorder, RequestContext
from local_aws.framework.authorization import Needed
from local_aws.framework.cloudformation import CLOUDFORMATION
from local_aws.framework.store import Document, Scope
from local_aws.host.current import current
from local_aws.host.drift import Reader
from local_aws.host.permissions import Permissions
from local_aws.host.stack_operations import current_operation
from local_aws.host.stack_permissions import StackPermissions

PRIVATE_PARTS = {
    "ministack.app": ("SERVICE_HANDLERS",),
    "ministack.core.responses": ("get_account_id", "get_region"),
    "ministack.services.cloudformation": ("_change_sets", "_stacks"),
    "ministack.services.cloudformation.helpers": ("_error",),
}

# Where a stack and a change set keep their role; DescribeStacks shows it by the same name.
_MEMBER = "RoleARN"
_STACK_ID = re.compile(r"<StackId>([^<]+)</StackId>")
_CHANGE_SET_ID = re.compile(r"<Id>([^<]+)</Id>")
_SESSION = "AWSCloudFormation"
# The ledger's names of services, where they are not IAM's.
_LEDGER_NAMES = {"cloudwatch": "monitoring"}


class StackRoles:
    """The roles of all stacks.

    :param modules: ministack's modules by name
    :param permissions: evaluates policies
    """

    def __init__(self, modules: Mapping[str, Any], permissions: Permissions) -> None:
        self._cloudformation = modules["ministack.services.cloudformation"]
        self._error = modules["ministack.services.cloudformation.helpers"]._error
        self._responses = modules["ministack.core.responses"]
        self._permissions = permissions
        self._steps = StackPermissions(permissions.boundary_of)
        # Gets the steps of types that ministack makes; the services of the added types record their own calls.
        self.recorder: Recorder | None = None
        handlers = modules["ministack.app"].SERVICE_HANDLERS
        self._handle = handlers["cloudformation"]
        handlers["cloudformation"] = self._answer

    async def _answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Any:
        """Answer a request; IAM has allowed the caller to hand over its role."""
        parameters = current.get().parameters
        role, operation = parameters.get(_MEMBER, ""), parameters.get("Action", "")
        if role and not self._permissions.trusts(self._scope(), role, CLOUDFORMATION):
            # https://repost.aws/knowledge-center/cloudformation-role-arn-error
            return self._error("ValidationError", f"Role {role} is invalid or cannot be assumed", 400)
        status, answered, content = await self._handle(method, path, headers, body, query)
        if status == 200 and operation == "CreateChangeSet" and role:
            if found := _CHANGE_SET_ID.search(content.decode()):
                self._cloudformation._change_sets[found[1]][_MEMBER] = role
        elif status == 200 and operation == "DescribeStacks":
            content = _STACK_ID.sub(self._with_kept, content.decode()).encode()
        return status, answered, content

    def _with_kept(self, match: re.Match[str]) -> str:
        """Add what ministack does not describe: the role, the topics and the time for the creation."""
        name = match[1].partition(":stack/")[2].partition("/")[0]
        stack: Document = self._cloudformation._stacks.get(name) or {}
        stack = stack if stack.get("StackId") == match[1] else {}
        topics = "".join(f"<member>{topic}</member>" for topic in stack.get("NotificationARNs", []))
        kept = {_MEMBER: stack.get(_MEMBER), "TimeoutInMinutes": stack.get("TimeoutInMinutes")}
        kept["NotificationARNs"] = topics
        return match[0] + "".join(f"<{name}>{value}</{name}>" for name, value in kept.items() if value)

    def _scope(self) -> Scope:
        return Scope(self._responses.get_account_id(), self._responses.get_region())

    # --- during an operation --------------------------------------------------------------------------------------

    def actor_of(self, stack: Document, call: Document) -> str:
        """Decide as whom an operation acts, when it begins, and keep the stack's role.

        The role of the request, else of the change set, else of an earlier operation; without one the caller.

        :param stack: the stack, which keeps the role
        :param call: the engine's call
        :returns: the ARN of a role or of who asked
        """
        asked = current.get()
        change_sets = [value["change_set"] for value in call["arguments"] if "change_set" in value]
        given = asked.parameters.get(_MEMBER) or next(
            (self._cloudformation._change_sets.get(name, {}).get(_MEMBER) for name in change_sets), None
        )
        if given:
            stack[_MEMBER] = given
        return str(stack.get(_MEMBER) or asked.caller.arn)

    def context(self) -> RequestContext:
        """Say for whom the current stack operation acts."""
        scope = self._scope()
        operation = current_operation()
        actor = operation.actor if operation else ""
        caller = session_arn(actor) if ":role/" in actor else CLOUDFORMATION
        principal = "" if ":role/" in actor else actor
        asked = current.get(None)
        # A session's policies count as long as the request that began the operation is known: until a restart.
        key = asked.caller.access_key_id if asked is not None and principal == asked.caller.arn else ""
        return RequestContext(
            scope.account_id, scope.region, caller, CLOUDFORMATION, key, principal=principal, via=CLOUDFORMATION
        )

    def detection_context(self) -> RequestContext:
        """Say for whom the current drift detection reads resources: whoever asked for it, not the stack's role.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html, "Considerations"
        """
        scope, asked = self._scope(), current.get().caller
        return RequestContext(
            scope.account_id, scope.region, CLOUDFORMATION, CLOUDFORMATION, principal=asked.arn, via=CLOUDFORMATION
        )

    def authorize(self, step: str, type_name: str, resource: str, properties: Document, stack: str) -> None:
        """Refuse a step that the stack's role, or who asked, may not take; for types that ministack makes.

        :param step: create, update or delete
        :param type_name: such as ``AWS::CloudWatch::Alarm``
        :param resource: its logical id at a creation, else its physical id
        :param properties: the resource's
        :param stack: its stack's name; empty at a deletion
        :raises ValueError: with IAM's text, which the engine shows as the resource's status reason
        """
        context = self.context()
        for needed in self._steps.needed(context, step, type_name, resource, properties, stack):
            self._ask(context, needed, properties)

    def reading(self, type_name: str, read: Reader) -> Reader:
        """Let the reader of a type that ministack makes ask IAM, for drift detection.

        :param type_name: such as ``AWS::CloudWatch::Alarm``
        :param read: reads the live properties
        """

        def asked(physical_id: str, declared: Document) -> Document | None:
            context = self.detection_context()
            for needed in self._steps.needed(context, "read", type_name, physical_id, {}, ""):
                self._ask(context, needed, declared)
            return read(physical_id, declared)

        return asked

    def _ask(self, context: RequestContext, needed: Needed, properties: Document) -> None:
        """Ask IAM, and let the ledger say so.

        :raises ValueError: the call is refused
        """
        decision = self._permissions.decide(context, context.principal or context.caller, context.access_key_id, needed)
        if decision is None:
            return
        namespace, _, operation = needed.action.partition(":")
        service = _LEDGER_NAMES.get(namespace, namespace)
        asked = replace(context, decisions=[decision.as_data()], request_id=str(uuid.uuid4()))
        if self.recorder is not None:
            self.recorder(asked, service, operation, properties, "AccessDenied" if decision.refusal else None)
        if decision.refusal is not None:
            raise ValueError(decision.refusal.message)


def session_arn(role: str) -> str:
    """Return the ARN of CloudFormation's session of a role.

    :param role: the role's ARN
    """
    _, partition, _, _, account, resource = role.split(":", 5)
    return f"arn:{partition}:sts::{account}:assumed-role/{resource.rpartition('/')[2]}/{_SESSION}"
