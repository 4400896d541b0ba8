"""The base of operators on one CloudFormation stack: wait without a worker slot, repair the stack, report errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import BaseOperatorLink

from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.links import CloudFormationStackLink
from slipway.aws.stacks import Stack
from slipway.aws.translation import missing_permission
from slipway.deployment.wait import ChangeSetTrigger, StackTrigger, StackWait
from slipway.errors import NameConflict, StackFailed
from slipway.host.task_errors import TaskErrors
from slipway.states import StackStatus

# Stacks in these states cannot be updated, only deleted.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html
_ONLY_DELETABLE = (
    StackStatus.CREATE_FAILED,
    StackStatus.ROLLBACK_COMPLETE,
    StackStatus.ROLLBACK_FAILED,
    StackStatus.DELETE_FAILED,
)
# A person must repair stacks in these states.
_FOR_A_PERSON = (StackStatus.UPDATE_FAILED, StackStatus.IMPORT_ROLLBACK_FAILED)
_NOT_DEPLOYED = "The stack was not deployed"


class StackOperator(TaskErrors, AwsBaseOperator[CloudFormationHook]):
    """The base of operators on one stack: waits, repairs, and errors that say what to do.

    Every wait but a moment's is a deferral, after which the subclass's ``resume`` continues.

    :param stack_name: the stack
    :param ownership_tags: tags that an existing stack must have; a stack without them is not touched
    :param role_arn: the role that CloudFormation acts as
    :param recreate_failed: whether to delete and create again a stack that can only be deleted; otherwise fail
    :param timeout_seconds: time for the whole task, including operations of other runs
    :param poll_seconds: seconds between two polls
    """

    aws_hook_class = CloudFormationHook
    template_fields: Sequence[str] = aws_template_fields("stack_name", "role_arn")
    operator_extra_links: tuple[BaseOperatorLink, ...] = (CloudFormationStackLink(),)

    def __init__(
        self,
        *,
        stack_name: str,
        ownership_tags: Mapping[str, str] | None = None,
        role_arn: str | None = None,
        recreate_failed: bool = False,
        timeout_seconds: float = 3600,
        poll_seconds: float = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stack_name = stack_name
        self.ownership_tags = dict(ownership_tags or {})
        self.role_arn = role_arn
        self.recreate_failed = recreate_failed
        self.timeout_seconds = timeout_seconds
        self.poll_seconds = poll_seconds

    def check_disposable(self, stack: Stack) -> None:
        """Raise if the stack must not be deleted and created again."""

    def _check_ours(self, stack: Stack) -> None:
        different = {
            key: stack.tags.get(key) for key, text in self.ownership_tags.items() if stack.tags.get(key) != text
        }
        if different:
            raise NameConflict(
                "A stack of this name belongs to something else",
                resource=stack.name,
                why=f"its tags are {different}, ours would be {self.ownership_tags}",
                fix="delete that stack, or change the model's prefix",
            )

    def _repair(self, stack: Stack, deadline: float) -> None:
        """Return if the stack can be changed; else start a repair and wait, or raise with what a person must do."""
        if stack.status in _FOR_A_PERSON:
            self._raise_failed(stack, fix="roll the stack back in the CloudFormation console, then clear this task")
        if stack.status is StackStatus.UPDATE_ROLLBACK_FAILED:
            self._continue_rollback(stack, deadline)
        if stack.status in _ONLY_DELETABLE:
            self._delete_failed(stack, deadline)

    def _continue_rollback(self, stack: Stack, deadline: float) -> NoReturn:
        if self.hook.failed_rollbacks(stack.stack_id) > 1:
            # The stack's own state is the lock: nothing is deployed until a person has repaired it.
            self._raise_failed(
                stack,
                what="The stack is frozen: its roll-back has failed twice",
                fix="repair the resource, continue the roll-back in the CloudFormation console, then clear this task",
            )
        self.log.warning("Continuing the failed roll-back of %s", stack.name)
        self.hook.continue_update_rollback(stack.stack_id, role_arn=self.role_arn)
        self._wait_for_stack(StackWait.IDLE, deadline)

    def _delete_failed(self, stack: Stack, deadline: float) -> NoReturn:
        self.check_disposable(stack)
        if not self.recreate_failed:
            self._raise_failed(
                stack,
                what="The stack can only be deleted, which is for a person to decide",
                fix="check that nobody needs what is in it, run "
                f"`aws cloudformation delete-stack --stack-name {stack.stack_id}`, "
                "then clear this task, which creates the stack again",
            )
        self._delete(stack, deadline)

    def _delete(self, stack: Stack, deadline: float) -> NoReturn:
        self.log.warning("Deleting the stack %s, which is %s", stack.stack_id, stack.status)
        self.hook.delete_stack(stack.stack_id, role_arn=self.role_arn)
        self._wait_for_stack(StackWait.DELETED, deadline, stack=stack.stack_id, deleted_stack_id=stack.stack_id)

    def _check_deleted(self, stack_id: str) -> None:
        stack = self.hook.describe_stack(stack_id)
        if stack and stack.status is StackStatus.DELETE_FAILED:
            left = "; ".join(map(str, self.hook.resources(stack_id)))
            raise StackFailed(
                "The stack cannot be deleted",
                resource=stack_id,
                why=f"{stack.reason or stack.status}; left: {left}",
                fix="remove what blocks their deletion, then clear this task",
            )

    def _reason(self, stack: Stack) -> str:
        failures = self.hook.failures(stack.stack_id)
        cause = str(failures[0]) if failures else stack.reason
        return f"{stack.status}; {cause}" if cause else str(stack.status)

    def _failed(self, reason: str) -> StackFailed:
        fix = "fix what the reason names, then clear this task or upload a new version"
        fix = missing_permission(reason) or fix
        return StackFailed(_NOT_DEPLOYED, resource=self.stack_name, why=reason, fix=fix)

    def _gone(self) -> StackFailed:
        return StackFailed(
            "The stack was deleted while it was deployed",
            resource=self.stack_name,
            why="CloudFormation no longer shows it",
            fix="look for DeleteStack in CloudTrail to see who deleted it; then clear this task, which makes it again",
        )

    def _raise_failed(self, stack: Stack, *, fix: str, what: str | None = None) -> NoReturn:
        reason = self._reason(stack)
        raise StackFailed(what or _NOT_DEPLOYED, resource=stack.name, why=reason, fix=missing_permission(reason) or fix)

    def _raise_timeout(self, state: str) -> NoReturn:
        raise StackFailed(
            f"The stack was not deployed within {self.timeout_seconds:.0f} s",
            resource=self.stack_name,
            why=f"it is {state}" if state else "CloudFormation shows no stack of this name",
            fix="look at its events in the CloudFormation console, then clear this task: it continues where it stopped",
        )

    def _is_settled(self) -> bool:
        """Look whether nothing happens to the stack; one that does not exist is for the conclusion to judge."""
        stack = self.hook.describe_stack(self.stack_name)
        return stack is None or not (stack.status.in_progress or stack.status is StackStatus.REVIEW_IN_PROGRESS)

    def _link(self, stack: Stack) -> None:
        CloudFormationStackLink.keep_for(stack.stack_id, self, self.aws_conn_id, stack_id=stack.stack_id)

    def _wait_for_stack(self, wait: StackWait, deadline: float, *, stack: str | None = None, **resume: Any) -> NoReturn:
        self._defer(StackTrigger, deadline, resume, stack=stack or self.stack_name, wait=wait.value)

    def _defer(
        self,
        trigger: type[StackTrigger] | type[ChangeSetTrigger],
        deadline: float,
        resume: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> NoReturn:
        self.defer(
            trigger=trigger(
                deadline=deadline,
                poll_seconds=self.poll_seconds,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
                verify=self.verify,
                botocore_config=self.botocore_config,
                **arguments,
            ),
            method_name="resume",
            kwargs={"deadline": deadline, **(resume or {})},
        )
        raise AssertionError("defer() always raises")
