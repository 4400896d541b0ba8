"""The IAM actions and resources that CloudFormation's steps need, for the types that ministack makes.

https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlparse

from local_aws.framework.authorization import Needed, passing
from local_aws.framework.cloudformation import CLOUDFORMATION
from local_aws.framework.store import Document, Scope
from local_aws.host.role_boundaries import ROLE_TYPE, boundary_key

STACK_TYPE = "AWS::CloudFormation::Stack"
USER_TYPE = "AWS::IAM::User"
_POLICY_TYPE, _MANAGED_POLICY_TYPE = "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"
_PROFILE_TYPE = "AWS::IAM::InstanceProfile"
# The IAM namespaces of the types that ministack makes; added types ask their own service.
_NAMESPACES = {"CloudWatch": "cloudwatch", "IAM": "iam", "KMS": "kms", "Logs": "logs", "S3": "s3"} | {
    name: name.lower() for name in ("SNS", "SQS")
}
# Type and step → the action, where it is not Create, Update or Delete and the type's noun.
_ACTIONS = {
    ("AWS::CloudWatch::CompositeAlarm", "create"): "cloudwatch:PutCompositeAlarm",
    ("AWS::CloudWatch::CompositeAlarm", "update"): "cloudwatch:PutCompositeAlarm",
    ("AWS::CloudWatch::CompositeAlarm", "delete"): "cloudwatch:DeleteAlarms",
    (_MANAGED_POLICY_TYPE, "create"): "iam:CreatePolicy",
    (_MANAGED_POLICY_TYPE, "update"): "iam:CreatePolicyVersion",
    (_MANAGED_POLICY_TYPE, "delete"): "iam:DeletePolicy",
    ("AWS::KMS::Key", "update"): "kms:PutKeyPolicy",
    ("AWS::KMS::Key", "delete"): "kms:ScheduleKeyDeletion",
    ("AWS::S3::Bucket", "update"): "s3:PutBucketVersioning",
    ("AWS::S3::BucketPolicy", "create"): "s3:PutBucketPolicy",
    ("AWS::S3::BucketPolicy", "update"): "s3:PutBucketPolicy",
    ("AWS::SNS::Subscription", "create"): "sns:Subscribe",
    ("AWS::SNS::Subscription", "update"): "sns:SetSubscriptionAttributes",
    ("AWS::SNS::Subscription", "delete"): "sns:Unsubscribe",
    ("AWS::SNS::Topic", "update"): "sns:SetTopicAttributes",
    ("AWS::SNS::TopicPolicy", "create"): "sns:SetTopicAttributes",
    ("AWS::SNS::TopicPolicy", "update"): "sns:SetTopicAttributes",
    ("AWS::SNS::TopicPolicy", "delete"): "sns:SetTopicAttributes",
    ("AWS::SQS::Queue", "update"): "sqs:SetQueueAttributes",
    ("AWS::SQS::QueuePolicy", "create"): "sqs:SetQueueAttributes",
    ("AWS::SQS::QueuePolicy", "update"): "sqs:SetQueueAttributes",
    ("AWS::SQS::QueuePolicy", "delete"): "sqs:SetQueueAttributes",
}
# Type and step → all actions, where they are known: handlers of the type's schema, but for tags that are taken away.
# CloudFormation gives all of these its own tags.
_ALL_ACTIONS = {
    ("AWS::CloudWatch::Alarm", "create"): ("PutMetricAlarm", "DescribeAlarms", "ListTagsForResource", "TagResource"),
    ("AWS::CloudWatch::Alarm", "update"): ("PutMetricAlarm", "DescribeAlarms", "ListTagsForResource", "TagResource"),
    ("AWS::CloudWatch::Alarm", "delete"): ("DeleteAlarms", "DescribeAlarms"),
    ("AWS::CloudWatch::Alarm", "read"): ("DescribeAlarms", "ListTagsForResource"),
    ("AWS::CloudWatch::Dashboard", "create"): ("PutDashboard", "GetDashboard", "TagResource"),
    ("AWS::CloudWatch::Dashboard", "update"): ("PutDashboard", "ListTagsForResource", "TagResource"),
    ("AWS::CloudWatch::Dashboard", "delete"): ("DeleteDashboards", "GetDashboard"),
    ("AWS::CloudWatch::Dashboard", "read"): ("GetDashboard", "ListTagsForResource"),
}


class StackPermissions:
    """What each step needs.

    :param boundary_of: returns the permissions boundary of a user or role by its ARN; empty for none
    """

    def __init__(self, boundary_of: Callable[[str], str]) -> None:
        self._boundary_of = boundary_of

    def needed(
        self, scope: Scope, step: str, type_name: str, resource: str, properties: Document, stack: str
    ) -> Iterator[Needed]:
        """Name the actions of one step.

        :param step: create, update, delete or read
        :param resource: its logical id at a creation, else its physical id
        :param stack: its stack's name; empty at other steps
        """
        name = resource if step != "create" else f"{stack}-{resource}-*"
        if type_name == STACK_TYPE:
            yield from _of_nested(scope, step, name, properties)
            return
        _, service, noun = type_name.split("::", 2) if type_name.count("::") == 2 else ("", "", "")
        namespace = _NAMESPACES.get(service)
        if namespace is None:
            return
        if type_name in (ROLE_TYPE, USER_TYPE):
            yield from self._of_identity(scope, step, noun, name, properties)
        elif type_name == _POLICY_TYPE:
            yield from self._of_holders(scope, "Delete{}Policy" if step == "delete" else "Put{}Policy", properties)
        elif operations := _ALL_ACTIONS.get((type_name, step)):
            for operation in operations:
                yield Needed(f"{namespace}:{operation}", _arn(scope, type_name, properties, name))
        else:
            action = _ACTIONS.get((type_name, step), f"{namespace}:{step.capitalize()}{noun}")
            for arn in _of_policy(scope, type_name, properties) or [_arn(scope, type_name, properties, name)]:
                yield Needed(action, arn)
        if type_name == _MANAGED_POLICY_TYPE:
            verb = "Detach{}Policy" if step == "delete" else "Attach{}Policy"
            yield from self._of_holders(scope, verb, properties)
        elif type_name == _PROFILE_TYPE:
            yield from _of_profile(scope, step, _arn(scope, type_name, properties, name), properties)

    def _of_identity(self, scope: Scope, step: str, noun: str, name: str, properties: Document) -> Iterator[Needed]:
        """Say what the handler of a role or user needs, with the boundary that it has or gets.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html
        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-user.html
        """
        arn = _iam_arn(scope, noun.lower(), properties.get(f"{noun}Name", name), properties.get("Path"))
        before = self._boundary_of(arn) if step != "create" else ""
        after = properties.get("PermissionsBoundary") or ""
        actions = [f"{step.capitalize()}{noun}"]
        change = "Delete" if step == "delete" else "Put"
        actions += [f"{change}{noun}Policy"] if properties.get("Policies") else []
        if properties.get("ManagedPolicyArns"):
            actions.append(f"{'Detach' if step == 'delete' else 'Attach'}{noun}Policy")
        actions += ["CreateLoginProfile"] if properties.get("LoginProfile") and step != "delete" else []
        if step == "update":
            actions += ["UpdateAssumeRolePolicy"] if noun == "Role" else []
            if after != before:
                actions.insert(0, f"Put{noun}PermissionsBoundary" if after else f"Delete{noun}PermissionsBoundary")
        for action in (f"iam:{action}" for action in actions):
            yield Needed(action, arn, boundary_key(action, before if step == "delete" else after or before))
        for group in properties.get("Groups", []) if noun == "User" else []:
            verb = "RemoveUserFromGroup" if step == "delete" else "AddUserToGroup"
            yield Needed(f"iam:{verb}", _iam_arn(scope, "group", group))

    def _of_holders(self, scope: Scope, verb: str, properties: Document) -> Iterator[Needed]:
        """Say what a policy needs for those who get or have it.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-policy.html
        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-managedpolicy.html
        """
        for noun in ("Role", "User", "Group"):
            action = f"iam:{verb.format(noun)}"
            for name in properties.get(f"{noun}s", []):
                arn = _iam_arn(scope, noun.lower(), name)
                yield Needed(action, arn, boundary_key(action, self._boundary_of(arn)))


def _of_nested(scope: Scope, step: str, name: str, properties: Document) -> Iterator[Needed]:
    """Say what a nested stack itself needs; its resources need theirs.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-nested-stacks.html
    https://github.com/pulumi/pulumi-aws-native/blob/master/aws-cloudformation-schema/aws-cloudformation-stack.json
    """
    url, role = str(properties.get("TemplateURL", "")), properties.get("RoleARN")
    keys = {"cloudformation:TemplateUrl": url} if url and step != "delete" else {}
    arn = name if name.startswith("arn:") else scope.arn("cloudformation", f"stack/{name}/*")
    yield Needed(f"cloudformation:{step.capitalize()}Stack", arn, keys)
    if keys:
        yield Needed("s3:GetObject", object_arn(url))
    if role and step != "delete":
        yield passing(role, CLOUDFORMATION)


def _of_profile(scope: Scope, step: str, arn: str, properties: Document) -> Iterator[Needed]:
    """Say what an instance profile needs for its role, which it hands over to EC2.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddRoleToInstanceProfile.html
    """
    verb = "RemoveRoleFromInstanceProfile" if step == "delete" else "AddRoleToInstanceProfile"
    for role in properties.get("Roles", []):
        yield Needed(f"iam:{verb}", arn)
        if step != "delete":
            yield passing(_iam_arn(scope, "role", role), "ec2.amazonaws.com")


def _of_policy(scope: Scope, type_name: str, properties: Document) -> list[str]:
    """Name what the policy of a resource is about; nothing for other types."""
    if type_name == "AWS::S3::BucketPolicy":
        return [f"arn:aws:s3:::{properties.get('Bucket', '*')}"]
    if type_name == "AWS::SNS::TopicPolicy":
        return [str(topic) for topic in properties.get("Topics", [])]
    if type_name == "AWS::SQS::QueuePolicy":
        return [scope.arn("sqs", str(queue).rpartition("/")[2]) for queue in properties.get("Queues", [])]
    return []


def _arn(scope: Scope, type_name: str, properties: Document, name: str) -> str:
    """Name the resource as the service's actions do; ``*`` for types whose names say nothing."""
    if name.startswith("arn:"):
        return name
    _, service, kind = type_name.split("::", 2)
    if type_name in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        return scope.arn("cloudwatch", f"alarm:{properties.get('AlarmName', name)}")
    if type_name == "AWS::CloudWatch::Dashboard":
        return f"arn:aws:cloudwatch::{scope.account_id}:dashboard/{properties.get('DashboardName', name)}"
    if type_name == _MANAGED_POLICY_TYPE:
        return _iam_arn(scope, "policy", properties.get("ManagedPolicyName", name), properties.get("Path"))
    if type_name == _PROFILE_TYPE:
        return _iam_arn(scope, "instance-profile", properties.get("InstanceProfileName", name), properties.get("Path"))
    if type_name == "AWS::S3::Bucket":
        return f"arn:aws:s3:::{properties.get('BucketName', name)}"
    if type_name == "AWS::SNS::Subscription":
        return str(properties.get("TopicArn", "*"))
    if type_name in ("AWS::SNS::Topic", "AWS::SQS::Queue"):
        # The physical id of a queue is its URL.
        return scope.arn(service.lower(), properties.get(f"{kind}Name", name).rpartition("/")[2])
    if type_name == "AWS::Logs::LogGroup":
        return scope.arn("logs", f"log-group:{properties.get('LogGroupName', name)}")
    if type_name == "AWS::KMS::Key" and "*" not in name:
        return scope.arn("kms", f"key/{name}")
    return "*"


def _iam_arn(scope: Scope, kind: str, name: str, path: str | None = None) -> str:
    """Name a user, role, group, policy or instance profile, with its path.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """
    return f"arn:aws:iam::{scope.account_id}:{kind}{path or '/'}{name}"


def object_arn(url: str) -> str:
    """Return the ARN of the object with an address, in either style."""
    parts = urlparse(url)
    host, path = parts.hostname or "", parts.path.lstrip("/")
    virtual = re.match(r"(.+)\.s3[.-]", host)
    return f"arn:aws:s3:::{virtual[1]}/{path}" if virtual else f"arn:aws:s3:::{path}"
