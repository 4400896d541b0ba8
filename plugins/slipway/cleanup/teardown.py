"""The tasks of the teardown DAG: ``remove`` removes all AWS resources of one model, ``nothing_left`` checks that."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

from slipway.aws.identity import identity
from slipway.aws.s3 import S3Hook
from slipway.cleanup import teardown_order
from slipway.cleanup.kept import Kept, kept_objects, kept_registry
from slipway.cleanup.model_resources import ModelResources, OwnedResource, RemovalStep
from slipway.errors import PermanentError, StackFailed
from slipway.host.task_errors import TaskErrors
from slipway.model.config import ModelConfig
from slipway.model.files import load_models
from slipway.paths import models_folder
from slipway.states import StackStatus
from slipway.waiting.activity import note_activity

if TYPE_CHECKING:
    from airflow.sdk import Context

# A failed deletion is tried again: what a resource was waiting for is often gone a minute later.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html#troubleshooting-errors-delete-stack-fails
_MAX_STACK_DELETIONS = 3
# The XCom of `nothing_left` that lists what was kept.
KEPT = "kept"


def chosen_model(params: Mapping[str, Any]) -> ModelConfig:
    """Find the model that the form names twice.

    :param params: the run's parameters ``model`` and ``confirm``
    :returns: the model file's content
    :raises slipway.errors.PermanentError: when the names differ or no model file has that prefix
    """
    prefix, confirmation = params[teardown_order.MODEL], params["confirm"]
    if prefix != confirmation:
        raise PermanentError(
            "Nothing was removed",
            resource=prefix,
            why=f"the name typed to confirm is {confirmation!r}",
            fix=f"trigger the teardown again and type {prefix} in both fields",
        )
    models, errors = load_models(models_folder())
    for model in models:
        if model.prefix == prefix:
            return model
    raise PermanentError(
        "Nothing was removed",
        resource=prefix,
        why="; ".join(["no model file has this prefix", *map(str, errors)]),
        fix="restore the model file, which names the model's endpoints",
    )


class _ModelResourcesOperator(TaskErrors):
    """The base of the operators that work on the resources of the model in the run's form."""

    def model_resources(self, model: ModelConfig) -> ModelResources:
        """Return what the model owns in AWS."""
        return ModelResources(model.prefix, model.policy.endpoint.endpoint_prefix, model.aws_conn_id)


class TeardownOperator(_ModelResourcesOperator):
    """Remove what a model owns, step by step. After an interruption it continues with what still exists.

    The run's parameters name the model, so one DAG serves all models.
    """

    def execute(self, context: Context) -> dict[str, int]:
        """Start removing.

        :param context: the task's Airflow context
        :returns: how many removals of each kind this attempt started
        :raises slipway.errors.NotApproved: when no approver of the model has ordered the teardown
        :raises slipway.errors.StackFailed: when a stack cannot be deleted, or something is left after the deadline
        """
        model = chosen_model(context["params"])
        teardown_order.check_open(context)
        note_activity()
        return self._remove(context, model, time.time() + model.timeouts.stack_seconds, {}, {})

    def go_on(
        self, context: Context, event: Any, deadline: float, deletions: dict[str, int], removed: dict[str, int]
    ) -> dict[str, int]:
        """Continue after a wait.

        :param context: the task's Airflow context
        :param event: unused; the wait is over
        :param deadline: when to give up, in seconds since the epoch
        :param deletions: how often the deletion of each stack was started
        :param removed: how many removals of each kind were started
        :returns: as execute
        """
        return self._remove(context, chosen_model(context["params"]), deadline, deletions, removed)

    def _remove(
        self,
        context: Context,
        model: ModelConfig,
        deadline: float,
        deletions: Mapping[str, int],
        removed: Mapping[str, int],
    ) -> dict[str, int]:
        teardown_order.check(context, model.approval.rules())
        resources, deletions_by_id, removed_by_kind = self.model_resources(model), Counter(deletions), Counter(removed)
        done: set[RemovalStep] = set()
        while left := resources.remaining(record=teardown_order.removes_record(context["params"])):
            step = left[0].step
            if step in done:
                self._wait(left, model, deadline, deletions_by_id, removed_by_kind)
            for item in left:
                if item.step is not step or item.remove is None:
                    continue
                if item.kind == "stack":
                    self._count_deletion(resources, item, deletions_by_id)
                self.log.info("Removing the %s", item)
                item.remove()
                removed_by_kind[item.kind] += 1
            done.add(step)
        teardown_order.close(context)
        self.log.info("All AWS resources of %s are removed but what nothing_left lists", model.prefix)
        return dict(removed_by_kind)

    @staticmethod
    def _count_deletion(resources: ModelResources, stack: OwnedResource, deletions: Counter[str]) -> None:
        if stack.status == StackStatus.DELETE_FAILED and deletions[stack.name] >= _MAX_STACK_DELETIONS:
            failures = "; ".join(map(str, resources.cloudformation.failures(stack.name)))
            raise StackFailed(
                f"The stack could not be deleted in {_MAX_STACK_DELETIONS} attempts",
                resource=stack.name,
                why=failures or "CloudFormation names no resource",
                fix="remove the resource that the reason names, then clear this task",
            )
        deletions[stack.name] += 1

    def _wait(
        self,
        left: Iterable[OwnedResource],
        model: ModelConfig,
        deadline: float,
        deletions: Mapping[str, int],
        removed: Mapping[str, int],
    ) -> None:
        waiting_for = ", ".join(map(str, left))
        if time.time() >= deadline:
            raise StackFailed(
                f"Not everything was removed within {model.timeouts.stack_seconds} s",
                resource=model.prefix,
                why=f"left: {waiting_for}",
                fix="clear this task: it continues with what is left",
            )
        self.log.info("Still there: %s", waiting_for)
        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=model.timeouts.poll_seconds)),
            method_name="go_on",
            kwargs={"deadline": deadline, "deletions": dict(deletions), "removed": dict(removed)},
        )


class NothingLeftOperator(_ModelResourcesOperator):
    """Check that a model has no AWS resources left, and list what was kept; the task fails if something is left."""

    def execute(self, context: Context) -> list[str]:
        """List what is left.

        :param context: the task's Airflow context
        :returns: an empty list
        :raises slipway.errors.PermanentError: naming everything that is left
        """
        model = chosen_model(context["params"])
        resources, record = self.model_resources(model), teardown_order.removes_record(context["params"])
        left = [str(item) for item in resources.remaining(record=record)]
        if left:
            raise PermanentError(
                "The model still has AWS resources",
                resource=model.prefix,
                why=f"left: {', '.join(left)}",
                fix="run the teardown again",
            )
        kept = [str(one) for one in self.kept(model, resources)]
        self.log.info("Nothing of %s runs in AWS any more. What is kept:", model.prefix)
        for one in kept:
            self.log.info("%s", one)
        context["ti"].xcom_push(key=KEPT, value=kept)
        return left

    def kept(self, model: ModelConfig, resources: ModelResources) -> Iterator[Kept]:
        """List what was kept, with the command that removes each.

        :param model: the model file's content
        :param resources: what the model owns
        """
        newest = resources.newest_package()
        if newest is not None:
            yield kept_registry(model.prefix, newest)
        resolve, s3 = identity(model.aws_conn_id).resolve, S3Hook(aws_conn_id=model.aws_conn_id)
        yield from kept_objects(model, resolve, s3.objects)
