"""The roles of stacks: kept, shown by DescribeStacks, and what their steps are allowed.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from local_aws.framework.api import RequestContext
from local_aws.framework.authorization import Needed
from local_aws.framework.cloudformation import CLOUDFORMATION
from local_aws.framework.store import Document, Scope
from local_aws.host.current import current
from local_aws.host.permissions import Permissions
from local_aws.host.role_boundaries import ROLE_TYPE, boundary_key
from local_aws.host.stack_operations import current_operation

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
# The IAM namespaces of the types that ministack makes; added types ask their own service.
_NAMESPACES = {"CloudWatch": "cloudwatch", "IAM": "iam", "KMS": "kms", "Logs": "logs", "S3": "s3"} | {
    name: name.lower() for name in ("SNS", "SQS")
}
# Type and step → the action, where it is not Create, Update or Delete and the type's noun.
_ACTIONS = {
    ("AWS::CloudWatch::Alarm", "create"): "cloudwatch:PutMetricAlarm",
    ("AWS::CloudWatch::Alarm", "update"): "cloudwatch:PutMetricAlarm",
    ("AWS::CloudWatch::Alarm", "delete"): "cloudwatch:DeleteAlarms",
    ("AWS::CloudWatch::CompositeAlarm", "create"): "cloudwatch:PutCompositeAlarm",
    ("AWS::CloudWatch::CompositeAlarm", "update"): "cloudwatch:PutCompositeAlarm",
    ("AWS::CloudWatch::CompositeAlarm", "delete"): "cloudwatch:DeleteAlarms",
    ("AWS::CloudWatch::Dashboard", "create"): "cloudwatch:PutDashboard",
    ("AWS::CloudWatch::Dashboard", "update"): "cloudwatch:PutDashboard",
    ("AWS::CloudWatch::Dashboard", "delete"): "cloudwatch:DeleteDashboards",
    ("AWS::IAM::ManagedPolicy", "create"): "iam:CreatePolicy",
    ("AWS::IAM::ManagedPolicy", "update"): "iam:CreatePolicyVersion",
    ("AWS::IAM::ManagedPolicy", "delete"): "iam:DeletePolicy",
    ("AWS::KMS::Key", "update"): "kms:PutKeyPolicy",
    ("AWS::KMS::Key", "delete"): "kms:ScheduleKeyDeletion",
    ("AWS::S3::Bucket", "update"): "s3:PutBucketVersioning",
    ("AWS::S3::BucketPolicy", "create"): "s3:PutBucketPolicy",
    ("AWS::S3::BucketPolicy", "update"): "s3:PutBucketPolicy",
    ("AWS::SNS::Topic", "update"): "sns:SetTopicAttributes",
    ("AWS::SNS::TopicPolicy", "create"): "sns:SetTopicAttributes",
    ("AWS::SNS::TopicPolicy", "update"): "sns:SetTopicAttributes",
    ("AWS::SNS::TopicPolicy", "delete"): "sns:SetTopicAttributes",
    ("AWS::SQS::Queue", "update"): "sqs:SetQueueAttributes",
    ("AWS::SQS::QueuePolicy", "create"): "sqs:SetQueueAttributes",
    ("AWS::SQS::QueuePolicy", "update"): "sqs:SetQueueAttributes",
    ("AWS::SQS::QueuePolicy", "delete"): "sqs:SetQueueAttributes",
}


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
            content = _STACK_ID.sub(self._with_role, content.decode()).encode()
        return status, answered, content

    def _with_role(self, match: re.Match[str]) -> str:
        stacks = self._cloudformation._stacks._data.values()
        role = next((stack.get(_MEMBER) for stack in stacks if stack["StackId"] == match[1]), None)
        return f"{match[0]}<{_MEMBER}>{role}</{_MEMBER}>" if role else match[0]

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
        return RequestContext(
            scope.account_id, scope.region, caller, CLOUDFORMATION, principal=principal, via=CLOUDFORMATION
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
        for needed in self._needed(context, step, type_name, resource, properties, stack):
            refusal = self._permissions.decide(context, context.principal or context.caller, "", needed)
            if refusal is not None:
                raise ValueError(refusal.message)

    def _needed(
        self, scope: Scope, step: str, type_name: str, resource: str, properties: Document, stack: str
    ) -> Iterator[Needed]:
        _, service, noun = type_name.split("::", 2) if type_name.count("::") == 2 else ("", "", "")
        namespace = _NAMESPACES.get(service)
        if namespace is None:
            return
        arn = _arn(scope, type_name, properties, resource if step != "create" else f"{stack}-{resource}-*")
        yield from (
            self._of_role(step, arn, properties)
            if type_name == ROLE_TYPE
            else [Needed(_ACTIONS.get((type_name, step), f"{namespace}:{step.capitalize()}{noun}"), arn)]
        )

    def _of_role(self, step: str, arn: str, properties: Document) -> Iterator[Needed]:
        """Say what a role's handler needs, with the boundary that the role has or gets.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html
        """
        before = self._permissions.boundary_of(arn) if step != "create" else ""
        after = properties.get("PermissionsBoundary") or ""
        actions = [f"{step.capitalize()}Role"]
        change = "Delete" if step == "delete" else "Put"
        actions += [f"{change}RolePolicy"] if properties.get("Policies") else []
        if properties.get("ManagedPolicyArns"):
            actions.append("DetachRolePolicy" if step == "delete" else "AttachRolePolicy")
        if step == "update":
            actions.append("UpdateAssumeRolePolicy")
            if after != before:
                actions.insert(0, "PutRolePermissionsBoundary" if after else "DeleteRolePermissionsBoundary")
        for action in (f"iam:{action}" for action in actions):
            yield Needed(action, arn, boundary_key(action, before if step == "delete" else after or before))


def session_arn(role: str) -> str:
    """Return the ARN of CloudFormation's session of a role.

    :param role: the role's ARN
    """
    _, partition, _, _, account, resource = role.split(":", 5)
    return f"arn:{partition}:sts::{account}:assumed-role/{resource.rpartition('/')[2]}/{_SESSION}"


def _arn(scope: Scope, type_name: str, properties: Document, name: str) -> str:
    """Name the resource as the service's actions do; ``*`` for types whose names say nothing."""
    if type_name in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        return scope.arn("cloudwatch", f"alarm:{properties.get('AlarmName', name)}")
    if type_name == "AWS::CloudWatch::Dashboard":
        return f"arn:aws:cloudwatch::{scope.account_id}:dashboard/{properties.get('DashboardName', name)}"
    if type_name == ROLE_TYPE:
        return f"arn:aws:iam::{scope.account_id}:role/{properties.get('RoleName', name)}"
    if type_name == "AWS::S3::Bucket":
        return f"arn:aws:s3:::{properties.get('BucketName', name)}"
    return "*"
