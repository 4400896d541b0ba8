"""CloudFormation: stacks, change sets and why a stack failed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from slipway import paths
from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.s3 import S3Hook, uri
from slipway.aws.session import AwsHook
from slipway.aws.stacks import ChangeSet, ChangeSetRequest, Stack, StackResource
from slipway.errors import AwsError, StackFailed
from slipway.states import StackStatus

WAITER_PATH = paths.waiters("cloudformation")

# The answer to a HEAD request has no body that could name the code.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
_FORBIDDEN_CODES = ("403", "AccessDenied")
_CANCELLED_TEXT = "cancelled"
_OPERATION_STARTS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS")


class CloudFormationHook(AwsHook):
    """Stacks and change sets.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html
    """

    service = "cloudformation"

    @property
    def waiter_path(self) -> os.PathLike[str]:
        """The waiters of this package, not those of the provider."""
        return WAITER_PATH

    @patient
    def describe_stack(self, name_or_id: str) -> Stack | None:
        """Describe a stack.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html

        :param name_or_id: the name, or the StackId, which also finds a deleted stack
        :returns: None if there is no such stack
        """
        with aws_call("describe the stack", name_or_id):
            try:
                found = self.conn.describe_stacks(StackName=name_or_id)["Stacks"][0]
            except ClientError as error:
                if _is_missing_stack(error):
                    return None
                raise
        return Stack.of(found)

    @patient
    def create_change_set(self, request: ChangeSetRequest) -> None:
        """Create a change set; one of this name that exists is left as it is.

        The name is a function of the content, so a repeated call finds what the first one made.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/drift-aware-change-sets.html

        :param request: what to change
        :raises StackFailed: when the template is not in its bucket
        """
        options = {"RoleARN": request.role_arn} if request.role_arn else {}
        if request.revert_drift:
            options["DeploymentMode"] = "REVERT_DRIFT"
        with aws_call(
            "create a change set for the stack",
            request.stack_name,
            fix="correct what the answer names: in deployment.json, and upload the zip again; or in the template's "
            "bucket, and clear this task",
        ):
            try:
                self.conn.create_change_set(
                    StackName=request.stack_name,
                    ChangeSetName=request.name,
                    ChangeSetType="CREATE" if request.create else "UPDATE",
                    Parameters=[
                        {"ParameterKey": key, "ParameterValue": text} for key, text in request.parameters.items()
                    ],
                    Tags=[{"Key": key, "Value": text} for key, text in request.tags.items()],
                    Capabilities=list(request.capabilities),
                    TemplateURL=self._template_url(request),
                    **options,
                )
            except ClientError as error:
                code = error.response["Error"]["Code"]
                # IAM refuses a template that is not allowed before CloudFormation looks for it.
                if code in ("AccessDenied", "ValidationError"):
                    self._check_template(request)
                if code != "AlreadyExistsException":
                    raise

    @patient
    def describe_change_set(self, stack_name: str, name: str) -> ChangeSet | None:
        """Describe a change set.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeChangeSet.html

        :returns: None if there is no such change set, or no such stack
        """
        with aws_call("describe the change set", name):
            try:
                found = self.conn.describe_change_set(StackName=stack_name, ChangeSetName=name)
            except ClientError as error:
                if _is_missing_change_set(error):
                    return None
                raise
        return ChangeSet.of(name, found)

    @patient
    def execute_change_set(self, stack_name: str, name: str) -> bool:
        """Apply a change set.

        Executing one change set deletes the stack's others, so of two releases that prepared one each, only the first
        is applied. When the answer to a call is lost, the repeated call returns False: the caller reads the stack
        again.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ExecuteChangeSet.html

        :returns: False when the stack has moved on and the change set is gone or no longer valid
        """
        with aws_call("execute the change set", f"{stack_name}/{name}"):
            try:
                self.conn.execute_change_set(StackName=stack_name, ChangeSetName=name)
            except ClientError as error:
                if error.response["Error"]["Code"] == "InvalidChangeSetStatus" or _is_missing_change_set(error):
                    return False
                raise
        return True

    @patient
    def delete_change_set(self, stack_name: str, name: str) -> None:
        """Delete a change set; one that is gone, or is being executed, is no error.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteChangeSet.html
        """
        with aws_call("delete the change set", f"{stack_name}/{name}"):
            try:
                self.conn.delete_change_set(StackName=stack_name, ChangeSetName=name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "InvalidChangeSetStatus" and not _is_missing_change_set(error):
                    raise

    @patient
    def continue_update_rollback(self, stack_id: str, *, role_arn: str | None = None) -> None:
        """Retry a failed roll-back without skipping a resource.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ContinueUpdateRollback.html

        :param stack_id: the StackId
        :param role_arn: the role CloudFormation acts as
        """
        role = {"RoleARN": role_arn} if role_arn else {}
        with aws_call("continue the roll-back of the stack", stack_id):
            try:
                self.conn.continue_update_rollback(StackName=stack_id, **role)
            except ClientError as error:
                # A call whose answer was lost may have succeeded; then there is nothing to retry.
                if error.response["Error"]["Code"] != "ValidationError" or self._rollback_has_failed(stack_id):
                    raise

    @patient
    def delete_stack(self, stack_id: str, *, role_arn: str | None = None) -> None:
        """Delete a stack by its StackId, so that a new stack of the same name is never deleted.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html

        :param stack_id: the StackId
        :param role_arn: the role CloudFormation acts as
        """
        role = {"RoleARN": role_arn} if role_arn else {}
        with aws_call("delete the stack", stack_id):
            self.conn.delete_stack(StackName=stack_id, **role)

    @patient
    def resources(self, stack_id: str) -> list[StackResource]:
        """List a stack's resources.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStackResources.html

        :returns: every resource that has not been deleted
        """
        with aws_call("list the resources of the stack", stack_id):
            pages = self.conn.get_paginator("list_stack_resources").paginate(StackName=stack_id)
            found = [StackResource.of(item) for page in pages for item in page["StackResourceSummaries"]]
        return [resource for resource in found if resource.status != "DELETE_COMPLETE"]

    @patient
    def failures(self, stack_id: str) -> list[StackResource]:
        """Find the resources that failed in the stack's last operation, the cause first.

        Resources that CloudFormation cancelled because another one failed are left out.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackEvents.html

        :returns: failed resources in the order they failed
        """
        failed: list[StackResource] = []
        for event in self._events(stack_id):
            status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
            if event["PhysicalResourceId"] == stack_id:
                if status in _OPERATION_STARTS:
                    break
            elif status.endswith("_FAILED") and _CANCELLED_TEXT not in reason.lower():
                failed.append(StackResource.of(event))
        return failed[::-1] or self._validation_failures(stack_id)

    @patient
    def touched(self, stack_id: str, resource_type: str) -> tuple[datetime | None, list[str]]:
        """Find the resources of one type that the stack's last operation created, changed or removed.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackEvents.html

        :returns: when the operation began, None if CloudFormation shows that no more, and the physical ids
        """
        seen: dict[str, None] = {}
        for event in self._events(stack_id):
            if event["PhysicalResourceId"] == stack_id and event["ResourceStatus"] in _OPERATION_STARTS:
                return event["Timestamp"], list(seen)
            if event["ResourceType"] == resource_type and event.get("PhysicalResourceId"):
                seen[event["PhysicalResourceId"]] = None
        return None, list(seen)

    @patient
    def failed_rollbacks(self, stack_id: str) -> int:
        """Count how often the roll-back of the stack's last update has failed.

        :returns: 0 if it has not; 2 after a ContinueUpdateRollback that failed as well
        """
        failed = 0
        for event in self._events(stack_id):
            if event["PhysicalResourceId"] != stack_id:
                continue
            if event["ResourceStatus"] in _OPERATION_STARTS:
                break
            failed += event["ResourceStatus"] == StackStatus.UPDATE_ROLLBACK_FAILED
        return failed

    def _rollback_has_failed(self, stack_id: str) -> bool:
        stack = self.describe_stack(stack_id)
        return stack is None or stack.status is StackStatus.UPDATE_ROLLBACK_FAILED

    def _template_url(self, request: ChangeSetRequest) -> str:
        """Write the template's URL in the one form that command/cfn/bootstrap.yaml allows."""
        domain = "amazonaws.com.cn" if self.conn_partition == "aws-cn" else "amazonaws.com"
        return f"https://s3.{self.conn_region_name}.{domain}/{request.template_bucket}/{request.template_key}"

    def _check_template(self, request: ChangeSetRequest) -> None:
        """Raise StackFailed where the template does not exist or Airflow may not read it."""
        s3 = S3Hook(
            aws_conn_id=self.aws_conn_id, region_name=self.region_name, verify=self._verify, config=self._config
        )
        try:
            if s3.exists(request.template_bucket, request.template_key):
                return
        except AwsError as error:
            if error.code not in _FORBIDDEN_CODES:
                raise
        raise StackFailed(
            "The template that this version of Slipway deploys has not been uploaded",
            resource=uri(request.template_bucket, request.template_key),
            why="Airflow may deploy only templates that an administrator has uploaded, and there is none",
            fix="have an administrator run `slipway bootstrap`, as docs/aws-account.md says, then clear this task",
        )

    def _validation_failures(self, stack_id: str) -> list[StackResource]:
        """List what CloudFormation found wrong before it changed any resource; the stack's events do not show it.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeEvents.html
        """
        with aws_call("read the validation of the stack", stack_id):
            events = self.conn.describe_events(StackName=stack_id, Filters={"FailedEvents": True})["OperationEvents"]
        return [
            StackResource(
                logical_id=event["LogicalResourceId"],
                type=event["ResourceType"],
                status="VALIDATION_FAILED",
                reason=event.get("ValidationStatusReason", ""),
            )
            for event in events
            if event["EventType"] == "VALIDATION_ERROR" and event["OperationId"] == events[0]["OperationId"]
        ]

    def _events(self, stack_id: str) -> Iterator[dict[str, Any]]:
        """List the stack's events, the newest first; pages are fetched only as far as they are read."""
        with aws_call("read the events of the stack", stack_id):
            for page in self.conn.get_paginator("describe_stack_events").paginate(StackName=stack_id):
                yield from page["StackEvents"]


def _is_missing_stack(error: ClientError) -> bool:
    detail = error.response["Error"]
    return detail["Code"] == "ValidationError" and "does not exist" in detail.get("Message", "")


def _is_missing_change_set(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in ("ChangeSetNotFound", "ChangeSetNotFoundException") or _is_missing_stack(
        error
    )
