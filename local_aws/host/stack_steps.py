"""What CloudFormation checks as it makes, changes or deletes one resource of a stack, and ministack does not.

Each check is one of ministack's gaps. tests/local_aws/host/test_ministack_gaps.py fails when a new ministack has closed
one, so that the check here can go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from local_aws.host.cloudwatch_checks import alarm_problem, dashboard_problem
from local_aws.host.model_checks import problem
from local_aws.host.property_checks import check_properties
from local_aws.host.s3 import policy_problem
from local_aws.host.trust_checks import trust_problem

PRIVATE_PARTS = {
    "ministack.services.cloudformation": ("_stacks",),
    "ministack.services.cloudformation.provisioners": ("_replacing_change",),
    "ministack.services.cloudformation.stacks": (
        "_add_event",
        "_delete_resource",
        "_provision_resource",
        "_update_resource",
    ),
    "ministack.services.s3": ("_bucket_has_versions", "_buckets"),
}

_CLOUDFORMATION = "ministack.services.cloudformation"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET_NAME = re.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def check_steps(modules: Mapping[str, Any]) -> None:
    """Let CloudFormation check each resource as AWS does; `nested_stacks` does so for those of nested stacks.

    :param modules: ministack's modules by name
    """
    steps = StackSteps(modules)
    stacks = modules[f"{_CLOUDFORMATION}.stacks"]
    stacks._provision_resource = steps.create(stacks._provision_resource)
    stacks._update_resource = steps.update(stacks._update_resource)
    stacks._delete_resource = steps.delete(stacks._delete_resource)


class StackSteps:
    """The checks of each resource, each as a function that replaces ministack's.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._stacks = modules[_CLOUDFORMATION]._stacks
        self._replaces = modules[f"{_CLOUDFORMATION}.provisioners"]._replacing_change
        self._add_event = modules[f"{_CLOUDFORMATION}.stacks"]._add_event
        self._s3 = modules["ministack.services.s3"]

    def create(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """Refuse properties that the type does not have, lacks or has in another form."""

        def made(type_name: str, logical_id: str, properties: Any, *rest: Any, **keywords: Any) -> Any:
            check_properties(type_name, logical_id, properties)
            _check_with_service(type_name, properties)
            return make(type_name, logical_id, properties, *rest, **keywords)

        return made

    def update(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """Refuse properties as at a creation, and what the stack's policy denies."""

        def changed(
            type_name: str,
            physical_id: str,
            before: Any,
            after: Any,
            stack_name: str,
            logical_id: str,
            *rest: Any,
            **keywords: Any,
        ) -> Any:
            check_properties(type_name, logical_id, after)
            _check_with_service(type_name, after)
            if before != after:
                action = "Update:Replace" if self._replaces(type_name, before, after) else "Update:Modify"
                self._check_policy(stack_name, logical_id, type_name, action)
            return change(type_name, physical_id, before, after, stack_name, logical_id, *rest, **keywords)

        return changed

    def delete(self, remove: Callable[..., Any]) -> Callable[..., Any]:
        """Keep a bucket that has objects, and show the clean-up of an update.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
        """

        def removed(
            type_name: str, physical_id: str, properties: Any, stack_name: str, logical_id: str, **keywords: Any
        ) -> Any:
            stack = self._stacks.get(stack_name, {})
            if stack.get("StackStatus") == "UPDATE_IN_PROGRESS":
                # An update deletes what it has replaced or removed at its end, when nothing can fail any more.
                stack["StackStatus"] = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
                self._add_event(
                    stack["StackId"],
                    stack_name,
                    stack_name,
                    "AWS::CloudFormation::Stack",
                    stack["StackStatus"],
                    physical_id=stack["StackId"],
                )
            if type_name == "AWS::S3::Bucket":
                self._check_empty(physical_id)
            return remove(type_name, physical_id, properties, stack_name, logical_id, **keywords)

        return removed

    def _check_empty(self, bucket: str) -> None:
        """Check that a bucket has no objects and no versions.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/TemplateReference/aws-resource-s3-bucket.html

        :raises ValueError: when CloudFormation could not delete it
        """
        found = self._s3._buckets.get(bucket)
        if found and (found["objects"] or self._s3._bucket_has_versions(bucket)):
            raise ValueError(
                'Resource handler returned message: "The bucket you tried to delete is not empty. You must delete all '
                'versions in the bucket. (Service: S3, Status Code: 409)" (HandlerErrorCode: GeneralServiceException)'
            )

    def _check_policy(self, stack_name: str, logical_id: str, type_name: str, action: str) -> None:
        """Check that the stack's policy allows an update of a resource.

        Without a policy all updates are allowed; with one, all that it does not allow are denied.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html

        :raises ValueError: when it does not
        """
        stack = self._stacks.get(stack_name, {})
        # A roll-back puts back what the policy has allowed before.
        if not stack.get("_stack_policy") or stack["StackStatus"] != "UPDATE_IN_PROGRESS":
            return
        statements = json.loads(stack["_stack_policy"]).get("Statement", [])
        statements = [statements] if isinstance(statements, dict) else statements
        concerned = [
            (number, one["Effect"])
            for number, one in enumerate(statements, 1)
            if _concerns(one, logical_id, type_name, action)
        ]
        denied = [number for number, effect in concerned if effect == "Deny"]
        if denied:
            raise ValueError(
                f"Action denied by stack policy: Statement [#{denied[0]}] does not allow [{action}] for resource "
                f"[LogicalResourceId/{logical_id}]"
            )
        if not concerned:
            raise ValueError(
                f"Action not allowed by stack policy: no statement allows [{action}] for resource "
                f"[LogicalResourceId/{logical_id}]"
            )


def _check_with_service(type_name: str, properties: dict[str, Any]) -> None:
    """Refuse what the service would refuse, where ministack makes the resource without its own checks.

    https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html

    :raises ValueError: with the service's text, as CloudFormation shows it
    """
    found, service = None, "CloudWatch"
    if type_name == "AWS::CloudWatch::Alarm":
        wrong = problem("cloudwatch", "PutMetricAlarm", {"AlarmName": "any", **properties})
        found = ("ValidationError", wrong) if wrong else alarm_problem(properties)
    elif type_name == "AWS::CloudWatch::Dashboard":
        found = dashboard_problem(properties)
    elif type_name == "AWS::S3::Bucket" and not _BUCKET_NAME.fullmatch(properties.get("BucketName", "any")):
        found, service = ("InvalidBucketName", "The specified bucket is not valid."), "S3"
    elif type_name == "AWS::S3::BucketPolicy":
        document, service = properties["PolicyDocument"], "S3"
        wrong = policy_problem(document if isinstance(document, str) else json.dumps(document))
        found = ("MalformedPolicy", wrong) if wrong else None
    elif type_name == "AWS::IAM::Role":
        document, service = properties["AssumeRolePolicyDocument"], "Iam"
        wrong = trust_problem(document if isinstance(document, str) else json.dumps(document))
        found = ("MalformedPolicyDocument", wrong) if wrong else None
    if found:
        raise ValueError(
            f'Resource handler returned message: "{found[1]} (Service: {service}, Status Code: 400)" '
            "(HandlerErrorCode: InvalidRequest)"
        )


def _concerns(statement: dict[str, Any], logical_id: str, type_name: str, action: str) -> bool:
    def among(name: str, value: str, otherwise: bool) -> bool:
        if name in statement:
            return any(fnmatchcase(value, pattern) for pattern in _listed(statement[name]))
        if f"Not{name}" in statement:
            return not any(fnmatchcase(value, pattern) for pattern in _listed(statement[f"Not{name}"]))
        return otherwise

    conditions = statement.get("Condition", {})
    types = [
        pattern
        for operator in ("StringEquals", "StringLike")
        for pattern in _listed(conditions.get(operator, {}).get("ResourceType", []))
    ]
    return (
        among("Action", action, False)
        and among("Resource", f"LogicalResourceId/{logical_id}", True)
        and (not types or any(fnmatchcase(type_name, pattern) for pattern in types))
    )


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
