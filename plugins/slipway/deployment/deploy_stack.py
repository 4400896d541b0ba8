"""Deploy a CloudFormation stack by change sets, from whatever state the stack is in."""

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
from slipway.errors import StackFailed
from slipway.states import StackStatus
from slipway.waiting.results import WaitOutcome, WaitResult, soon

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger

_DEPLOYED = {StackStatus.CREATE_COMPLETE: "created", StackStatus.UPDATE_COMPLETE: "updated"}


class CloudFormationDeployOperator(StackOperator):
    """Create or update a stack by a change set, and wait for it: what is not over in a moment, without a worker slot.

    Each attempt reads the stack and takes the next step towards the wanted state, so it may be killed anywhere and
    run again: a change set's name follows from its content, and an attempt adopts one that is being executed.
    The checks run again when the change set is made. Executing a change set deletes the stack's others, so a change
    that another run makes between that check and the execution cannot be overwritten.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html

    The template is not uploaded here: an administrator has put it where Airflow's role cannot write.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/control-access-with-iam.html

    :param template_path: the template's file; its digest is part of the uploaded template's key
    :param template_bucket: the bucket that the template was uploaded to
    :param parameters: the template's parameters
    :param tags: the stack's tags, which its resources inherit
    :param change_set_prefix: what the change set's name begins with
    :param capabilities: what the template may do, such as CAPABILITY_NAMED_IAM
    :param kwargs: arguments of StackOperator
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
        # Whether the change set reverts drift; None before the stack has been compared.
        self._reverts: bool | None = None
        self._has_waited = False

    # Subclasses override these.

    def prepare(self, context: Context) -> None:
        """Set what is only known when the task runs; called at the start and after every wait."""

    def look(self) -> Stack | None:
        """Describe the stack; what a subclass has read of its resources is read again after each look."""
        return self.hook.describe_stack(self.stack_name)

    def parameters_for(self, stack: Stack | None) -> dict[str, str]:
        """Return the parameters, given the current stack."""
        return self.parameters

    def first_step(self, stack: Stack) -> dict[str, str] | None:
        """Return the parameters of a change that must come before the wanted one, or None."""
        return None

    def undo_of_first_step(self, stack: Stack) -> dict[str, str] | None:
        """Return the parameters that undo the first step, or None if the stack is not between the two steps."""
        return None

    def wait_before_change(self, stack: Stack | None, deadline: float) -> BaseTrigger | None:
        """Return a trigger that waits until the stack can be changed, or None if it can be changed now."""
        return None

    def check_may_apply(self, stack: Stack | None) -> None:
        """Raise if the stack must not be changed; called before and after the change set is made."""

    def reverts_drift(self, stack: Stack) -> bool:
        """Compare the stack with what is there, and return whether its change set must revert differences.

        Raise if there are differences that a deployment cannot put right.
        """
        return False

    def before_execution(self, context: Context, stack: Stack | None) -> None:
        """Do what must be done before the stack changes; it may be repeated."""

    def has_vanished(self, stack: Stack) -> bool:
        """Return whether somebody deleted what the stack made, so that the stack must be made again."""
        return False

    def check_deployed(self, stack: Stack) -> None:
        """Raise if the stack is complete but does not hold what was deployed."""

    # The deployment itself.

    def execute(self, context: Context) -> dict[str, Any]:
        """Deploy.

        :param context: the task's Airflow context
        :returns: stack_name, stack_id, change (created, updated or unchanged), outputs, and aws_seconds where known
        :raises slipway.errors.StackFailed: with the resource that failed and CloudFormation's reason
        :raises slipway.errors.NameConflict: when the stack belongs to something else
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
        reverts: bool | None = None,
        began: float | None = None,
    ) -> dict[str, Any]:
        """Continue after a wait.

        :param context: the task's Airflow context
        :param event: how the wait ended
        :param deadline: when to give up, in seconds since the epoch
        :param change_set: the change set that was being executed
        :param deleted_stack_id: the stack that was being deleted
        :param failure: why the deployment failed, while its first step is being undone
        :param reverts: whether the change set that was being made reverts drift
        :param began: when the execution of the change set began, in seconds since the epoch; None if unknown
        :returns: as execute
        """
        result = WaitResult.from_event(event)
        self._reverts, self._has_waited = reverts, True
        self.prepare(context)
        if result.outcome is WaitOutcome.REFUSED:
            raise result.refused("Cannot watch the stack", self.stack_name)
        if result.outcome is WaitOutcome.TIMEOUT:
            self._raise_timeout(" ".join(filter(None, [result.status, result.reason])))
        if deleted_stack_id:
            self._check_deleted(deleted_stack_id)
        if change_set:
            return self._conclude(context, change_set, deadline, failure, began)
        return self._advance(context, deadline, failure)

    def on_kill(self) -> None:
        """Delete a change set that was not executed yet; CloudFormation finishes an execution by itself."""
        if self._prepared_change_set:
            with without_patience():
                self.hook.delete_change_set(self.stack_name, self._prepared_change_set)

    def _advance(self, context: Context, deadline: float, failure: str | None = None) -> dict[str, Any]:
        stack = self.look()
        self.log.info("The stack %s is %s", self.stack_name, stack.status if stack else "missing")
        if time.time() >= deadline:
            self._raise_timeout(" ".join(filter(None, [stack.status, stack.reason])) if stack else "")
        if stack is None or stack.status is StackStatus.REVIEW_IN_PROGRESS:
            return self._apply(context, stack, deadline, failure)
        self._check_ours(stack)
        self._link(stack)
        if stack.status.in_progress:
            ours = change_sets.in_flight(self.hook, self._change_request(stack))
            self._wait_for_stack(StackWait.DEPLOYED if ours else StackWait.IDLE, deadline, change_set=ours)
        self._repair(stack, deadline)
        if self.has_vanished(stack):
            self.log.warning("Somebody deleted what the stack %s made: making the stack again", stack.name)
            self.before_execution(context, stack)
            self._delete(stack, deadline)
        return self._apply(context, stack, deadline, failure)

    def _apply(
        self, context: Context, stack: Stack | None, deadline: float, failure: str | None = None
    ) -> dict[str, Any]:
        if trigger := self.wait_before_change(stack, deadline):
            self.defer(trigger=trigger, method_name="resume", kwargs={"deadline": deadline, "failure": failure})
        if failure and not (stack and self.undo_of_first_step(stack)):
            raise self._failed(failure)
        if not failure:
            self.check_may_apply(stack)
            if self._reverts is None and stack and stack.status is not StackStatus.REVIEW_IN_PROGRESS:
                self._reverts = self.reverts_drift(stack)
        change_set = change_sets.make_or_adopt(self.hook, self._change_request(stack, undo=failure is not None))
        if change_set is None:
            # Another run executed its change set, which deleted ours. Read the stack again.
            self._wait_for_stack(StackWait.IDLE, deadline, failure=failure)
        if change_set.being_made:
            resume = {"failure": failure, "reverts": self._reverts}
            self._defer(ChangeSetTrigger, deadline, resume, stack=self.stack_name, change_set=change_set.name)
        if change_set.executing:
            self._wait_for_stack(StackWait.DEPLOYED, deadline, change_set=change_set.name, failure=failure)
        if change_set.empty:
            self.hook.delete_change_set(self.stack_name, change_set.name)
            return self._unchanged(context)
        if not change_set.executable:
            self.hook.delete_change_set(self.stack_name, change_set.name)
            raise StackFailed(
                "CloudFormation cannot make the change set",
                resource=self.stack_name,
                why=change_set.reason or f"{change_set.status}, {change_set.execution_status}",
                fix="correct the template or its parameters and clear this task",
            )
        self._prepared_change_set = change_set.name
        now = self.look()
        if now is None or now.stack_id != change_set.stack_id or (stack and now.status is not stack.status):
            self.hook.delete_change_set(self.stack_name, change_set.name)
            self._wait_for_stack(StackWait.IDLE, deadline, failure=failure)
        if not failure:
            self.check_may_apply(now)
            self.before_execution(context, now)
        executed = self.hook.execute_change_set(self.stack_name, change_set.name)
        self._prepared_change_set = None
        self._link(now)
        if not executed:
            self.log.info("The change set %s is no longer valid: another run changed the stack first", change_set.name)
            self._wait_for_stack(StackWait.IDLE, deadline, failure=failure)
        self.log.info("Executing the change set %s", change_set.name)
        began = time.time()
        if not self._has_waited and soon(self._is_settled):
            # As after a wait: all is read and checked again.
            self._reverts = None
            self.prepare(context)
            return self._conclude(context, change_set.name, deadline, failure, began)
        waited: dict[str, Any] = {"failure": failure, "began": began}
        self._wait_for_stack(StackWait.DEPLOYED, deadline, change_set=change_set.name, **waited)

    def _conclude(
        self, context: Context, change_set_name: str, deadline: float, failure: str | None, began: float | None
    ) -> dict[str, Any]:
        stack = self.look()
        if stack is None:
            raise self._gone()
        change_set = self.hook.describe_change_set(self.stack_name, change_set_name)
        # DescribeStacks may still show the state before the execution.
        if (
            stack.status.in_progress
            or stack.status is StackStatus.REVIEW_IN_PROGRESS
            or (change_set and change_set.executing)
        ):
            if time.time() >= deadline:
                self._raise_timeout(" ".join(filter(None, [stack.status, stack.reason])))
            waited: dict[str, Any] = {"failure": failure, "began": began}
            self._wait_for_stack(StackWait.DEPLOYED, deadline, change_set=change_set_name, **waited)
        half_done = self.undo_of_first_step(stack) is not None
        if stack.status not in _DEPLOYED:
            reason = self._reason(stack)
            if half_done and not failure:
                self.log.error("The stack was not deployed: %s. Undoing the first step", reason)
                return self._apply(context, stack, deadline, failure=reason)
            raise self._failed("; then undoing the first step failed: ".join(filter(None, [failure, reason])))
        if failure:
            raise self._failed(failure)
        if half_done:
            self.log.info("The first step is done; deploying")
            return self._advance(context, deadline)
        self.check_deployed(stack)
        spent = {} if began is None else {"aws_seconds": round(time.time() - began, 1)}
        return {**self._result(stack, _DEPLOYED[stack.status]), **spent}

    def _change_request(self, stack: Stack | None, *, undo: bool = False) -> ChangeSetRequest:
        template = Path(self.template_path)
        digest = hashlib.sha256(template.read_bytes()).hexdigest()
        step = (self.undo_of_first_step(stack) if undo else self.first_step(stack)) if stack else None
        request = ChangeSetRequest(
            stack_name=self.stack_name,
            name="",
            create=stack is None or stack.status is StackStatus.REVIEW_IN_PROGRESS,
            template_bucket=self.template_bucket,
            template_key=names.template_key(template.stem, digest),
            parameters=step or self.parameters_for(stack),
            # A first step changes no model, so the stack keeps the tags of the release that it serves.
            tags=stack.tags if stack and step else self.tags,
            capabilities=self.capabilities,
            role_arn=self.role_arn,
            revert_drift=bool(self._reverts) and not step and not undo,
        )
        return replace(request, name=change_sets.content_name(self.change_set_prefix, request))

    def _unchanged(self, context: Context) -> dict[str, Any]:
        stack = self.look()
        if stack is None:
            raise self._gone()
        self.log.info("The stack %s needs no change", stack.name)
        self._link(stack)
        self.check_deployed(stack)
        return self._result(stack, "unchanged")

    def _result(self, stack: Stack, change: str) -> dict[str, Any]:
        self.log.info("The stack %s is %s", stack.name, change)
        outputs = dict(stack.outputs)
        return {"stack_name": stack.name, "stack_id": stack.stack_id, "change": change, "outputs": outputs}
