"""Deploying a CloudFormation stack by change sets, from whatever state the stack is in."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway import names
from slipway.aws.patience import without_patience
from slipway.aws.stacks import ChangeSetRequest, Stack
from slipway.deployment import change_sets
from slipway.deployment.stack_operator import StackOperator
from slipway.deployment.wait import ChangeSetTrigger, StackWait
from slipway.errors import AwsError, StackFailed
from slipway.states import StackStatus
from slipway.waiting.results import WaitOutcome, WaitResult

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

_DEPLOYED = {StackStatus.CREATE_COMPLETE: "created", StackStatus.UPDATE_COMPLETE: "updated"}


class CloudFormationDeployOperator(StackOperator):
    """Creates or updates a stack by a change set, and waits for it without a worker slot.

    Each attempt looks at the stack and does the next thing that brings it nearer to the wanted state, so it may be
    killed anywhere and run again: a change set's name is a function of its content, and one in flight is adopted.
    What forbids the change is checked once more when the change set is there. Executing a change set deletes the
    stack's others, so nothing another run does between that check and the execution can be overwritten.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html

    The template is not sent along: it has been uploaded before, by somebody who may write where Airflow's role may not.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/control-access-with-iam.html

    :param template_path: the template's file, which names the uploaded one by its digest
    :param template_bucket: the bucket that it has been uploaded to
    :param parameters: the template's parameters
    :param tags: the stack's tags, which its resources inherit
    :param change_set_prefix: what the change set's name begins with
    :param capabilities: what the template may do, as CAPABILITY_NAMED_IAM
    :param kwargs: those of StackOperator
    """

    template_fields: Sequence[str] = (*StackOperator.template_fields, "parameters", "tags")

    def __init__(
        self,
        *,
        template_path: str,
        template_bucket: str,
        parameters: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        change_set_prefix: str = "slipway",
        capabilities: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.template_path = template_path
        self.parameters = dict(parameters or {})
        self.tags = dict(tags or {})
        self.change_set_prefix = change_set_prefix
        self.capabilities = list(capabilities)
        self.template_bucket = template_bucket
        self._prepared_change_set: str | None = None

    # What a subclass may say about its stack.

    def prepare(self, context: Context) -> None:
        """Fill in what is only known when the task runs; called at the start and after every wait."""

    def parameters_for(self, stack: Stack | None) -> dict[str, str]:
        """:returns: the parameters, given the stack as it is"""
        return self.parameters

    def first_step(self, stack: Stack) -> dict[str, str] | None:
        """:returns: the parameters of a change that has to come before the wanted one, if there is one"""
        return None

    def way_back(self, stack: Stack) -> dict[str, str] | None:
        """:returns: if the stack stands after the first step, the parameters that undo it; else None"""
        return None

    def obstacle(self, stack: Stack | None, deadline: float) -> BaseTrigger | None:
        """:returns: a trigger that waits until the stack can be changed; None if it can be now"""
        return None

    def check_may_apply(self, stack: Stack | None) -> None:
        """Raise if the stack must not be changed now; called before and after the change set is made."""

    def before_execution(self, context: Context, stack: Stack | None) -> None:
        """Do what has to be done before the stack changes; it may be done again."""

    def has_vanished(self, stack: Stack) -> bool:
        """:returns: whether what the stack made has been deleted behind its back, so that it has to be made again"""
        return False

    def check_deployed(self, stack: Stack) -> None:
        """Raise if the stack is complete and yet does not hold what was deployed."""

    # The deployment.

    def execute(self, context: Context) -> dict[str, Any]:
        """Deploy.

        :param context: the task's Airflow context
        :returns: stack_name, stack_id, change (created, updated or unchanged) and outputs
        :raises slipway.errors.StackFailed: naming the resource that failed and CloudFormation's reason
        :raises slipway.errors.NameConflict: when the stack is somebody else's
        """
        self.prepare(context)
        return self._advance(context, time.time() + self.timeout_seconds)

    def resume(
        self,
        context: Context,
        event: dict[str, Any] | None,
        deadline: float,
        change_set: str | None = None,
        deleted_stack_id: str | None = None,
        failure: str | None = None,
    ) -> dict[str, Any]:
        """Go on after a wait.

        :param context: the task's Airflow context
        :param event: how the wait ended
        :param deadline: when to give up, in seconds since the epoch
        :param change_set: the change set whose execution was waited for
        :param deleted_stack_id: the stack whose deletion was waited for
        :param failure: why the deployment has failed, while what its first step did is undone
        :returns: as execute
        """
        result = WaitResult.from_event(event)
        self.prepare(context)
        if result.outcome is WaitOutcome.REFUSED:
            raise AwsError("Cannot watch the stack", resource=self.stack_name, why=result.reason)
        if result.outcome is WaitOutcome.TIMEOUT:
            self._raise_timeout(" ".join(filter(None, [result.status, result.reason])))
        if deleted_stack_id:
            self._check_deleted(deleted_stack_id)
        if change_set:
            return self._conclude(context, change_set, deadline, failure)
        return self._advance(context, deadline, failure)

    def on_kill(self) -> None:
        """Delete a change set that was prepared and not executed; an execution under way is CloudFormation's to end."""
        if self._prepared_change_set:
            with without_patience():
                self.hook.delete_change_set(self.stack_name, self._prepared_change_set)

    def _advance(self, context: Context, deadline: float, failure: str | None = None) -> dict[str, Any]:
        stack = self.hook.describe_stack(self.stack_name)
        self.log.info("The stack %s is %s", self.stack_name, stack.status if stack else "not there")
        if time.time() >= deadline:
            self._raise_timeout(stack.status if stack else "")
        if stack is None or stack.status is StackStatus.REVIEW_IN_PROGRESS:
            return self._apply(context, stack, deadline, failure)
        self._check_ours(stack)
        self._link(context, stack)
        if stack.status.in_progress:
            ours = change_sets.in_flight(self.hook, self._change_request(stack))
            self._wait_for_stack(StackWait.DEPLOYED if ours else StackWait.IDLE, deadline, change_set=ours)
        self._mend(stack, deadline)
        if self.has_vanished(stack):
            self.log.warning("What the stack %s made is gone: the stack is made again", stack.name)
            self.before_execution(context, stack)
            self._delete(stack, deadline)
        return self._apply(context, stack, deadline, failure)

    def _apply(
        self, context: Context, stack: Stack | None, deadline: float, failure: str | None = None
    ) -> dict[str, Any]:
        if trigger := self.obstacle(stack, deadline):
            self.defer(trigger=trigger, method_name="resume", kwargs={"deadline": deadline, "failure": failure})
        if failure and not (stack and self.way_back(stack)):
            raise self._failed(failure)
        if not failure:
            self.check_may_apply(stack)
        change_set = change_sets.make_or_adopt(self.hook, self._change_request(stack, undo=failure is not None))
        if change_set is None:
            # It vanished in the moment it was made: another run has executed its own. Look again.
            self._wait_for_stack(StackWait.IDLE, deadline, failure=failure)
        if change_set.being_made:
            self._defer(
                ChangeSetTrigger, deadline, {"failure": failure}, stack=self.stack_name, change_set=change_set.name
            )
        if change_set.executing:
            self._wait_for_stack(StackWait.DEPLOYED, deadline, change_set=change_set.name, failure=failure)
        if change_set.empty:
            self.hook.delete_change_set(self.stack_name, change_set.name)
            return self._unchanged(context)
        if not change_set.executable:
            self.hook.delete_change_set(self.stack_name, change_set.name)
            raise StackFailed(
                "CloudFormation cannot work out the change",
                resource=self.stack_name,
                why=change_set.reason or f"{change_set.status}, {change_set.execution_status}",
                fix="correct the template or its parameters and clear this task",
            )
        self._prepared_change_set = change_set.name
        now = self.hook.describe_stack(self.stack_name)
        if now is None or now.stack_id != change_set.stack_id or (stack and now.status is not stack.status):
            self.hook.delete_change_set(self.stack_name, change_set.name)
            self._wait_for_stack(StackWait.IDLE, deadline, failure=failure)
        if not failure:
            self.check_may_apply(now)
            self.before_execution(context, now)
        executed = self.hook.execute_change_set(self.stack_name, change_set.name)
        self._prepared_change_set = None
        self._link(context, now)
        if not executed:
            self.log.info("The change set %s is no longer valid: another run was first", change_set.name)
            self._wait_for_stack(StackWait.IDLE, deadline, failure=failure)
        self.log.info("Executing the change set %s", change_set.name)
        self._wait_for_stack(StackWait.DEPLOYED, deadline, change_set=change_set.name, failure=failure)

    def _conclude(self, context: Context, change_set_name: str, deadline: float, failure: str | None) -> dict[str, Any]:
        stack = self.hook.describe_stack(self.stack_name)
        if stack is None:
            raise StackFailed("The stack was deleted while it was deployed", resource=self.stack_name)
        change_set = self.hook.describe_change_set(self.stack_name, change_set_name)
        # DescribeStacks may still show the state before the execution.
        if (
            stack.status.in_progress
            or stack.status is StackStatus.REVIEW_IN_PROGRESS
            or (change_set and change_set.executing)
        ):
            if time.time() >= deadline:
                self._raise_timeout(stack.status)
            self._wait_for_stack(StackWait.DEPLOYED, deadline, change_set=change_set_name, failure=failure)
        half_way = self.way_back(stack) is not None
        if stack.status not in _DEPLOYED:
            reason = self._reason(stack)
            if half_way and not failure:
                self.log.error("The stack was not deployed: %s. Undoing what was done to prepare it", reason)
                return self._apply(context, stack, deadline, failure=reason)
            raise self._failed("; then, on the way back, ".join(filter(None, [failure, reason])))
        if failure:
            raise self._failed(failure)
        if half_way:
            self.log.info("The first step is done; now the deployment itself")
            return self._advance(context, deadline)
        self.check_deployed(stack)
        return self._result(stack, _DEPLOYED[stack.status])

    def _change_request(self, stack: Stack | None, *, undo: bool = False) -> ChangeSetRequest:
        template = Path(self.template_path)
        digest = hashlib.sha256(template.read_bytes()).hexdigest()
        step = (self.way_back(stack) if undo else self.first_step(stack)) if stack else None
        request = ChangeSetRequest(
            stack_name=self.stack_name,
            name="",
            create=stack is None or stack.status is StackStatus.REVIEW_IN_PROGRESS,
            template_bucket=self.template_bucket,
            template_key=names.template_key(template.stem, digest),
            parameters=step or self.parameters_for(stack),
            # A step on the way is no release: the stack goes on saying what it serves.
            tags=stack.tags if stack and step else self.tags,
            capabilities=self.capabilities,
            role_arn=self.role_arn,
        )
        return replace(request, name=change_sets.content_name(self.change_set_prefix, request))

    def _unchanged(self, context: Context) -> dict[str, Any]:
        stack = self.hook.describe_stack(self.stack_name)
        if stack is None:
            raise StackFailed("The stack was deleted while it was deployed", resource=self.stack_name)
        self.log.info("There is nothing to change in %s", stack.name)
        self._link(context, stack)
        self.check_deployed(stack)
        return self._result(stack, "unchanged")

    def _result(self, stack: Stack, change: str) -> dict[str, Any]:
        self.log.info("The stack %s is %s", stack.name, change)
        outputs = dict(stack.outputs)
        return {"stack_name": stack.name, "stack_id": stack.stack_id, "change": change, "outputs": outputs}
