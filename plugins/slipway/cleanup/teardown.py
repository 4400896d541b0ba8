"""Teardown: removes everything one model owns in AWS, and says what is left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator

from slipway.cleanup import teardown_order
from slipway.cleanup.model_resources import Belonging, Estate, RemovalStep
from slipway.errors import PermanentError, StackFailed
from slipway.model.config import ModelConfig
from slipway.model.files import load_models
from slipway.paths import models_folder
from slipway.states import StackStatus

if TYPE_CHECKING:
    from airflow.sdk import Context

# A deletion that failed is asked for again: what held a resource back is often gone a minute later.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html#troubleshooting-errors-delete-stack-fails
_MAX_STACK_DELETIONS = 3


def chosen_model(params: Mapping[str, Any]) -> ModelConfig:
    """Find the model that the form names twice.

    :param params: The run's parameters ``model`` and ``confirm``.
    :returns: The model file's content.
    :raises slipway.errors.PermanentError: When the names differ or no model file has that prefix.
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
        fix="put the model file back: it names the model's endpoints",
    )


class _EstateOperator(BaseOperator):
    """Works on what the model of the run's form owns."""

    def estate(self, model: ModelConfig) -> Estate:
        """:returns: what the model owns in AWS"""
        return Estate(model.prefix, model.policy.endpoint.endpoint_prefix, model.aws_conn_id)


class TeardownOperator(_EstateOperator):
    """Removes what a model owns, stage by stage; interrupted anywhere, it goes on from what is still there.

    The run's parameters name the model, so that one DAG serves all models.
    """

    def execute(self, context: Context) -> dict[str, int]:
        """Start removing.

        :param context: The task's Airflow context.
        :returns: How many removals of each kind were asked for since the last start.
        :raises slipway.errors.NotApproved: When no approver of the model has ordered it.
        :raises slipway.errors.StackFailed: When a stack cannot be deleted, or something is left after the deadline.
        """
        model = chosen_model(context["params"])
        teardown_order.check_open(context)
        return self._remove(context, time.time() + model.timeouts.stack_seconds, {}, {})

    def go_on(
        self, context: Context, event: Any, deadline: float, deletions: dict[str, int], removed: dict[str, int]
    ) -> dict[str, int]:
        """Look again at what is left.

        :param context: The task's Airflow context.
        :param event: That the time has come; of no other meaning.
        :param deadline: When to give up, in seconds since the epoch.
        :param deletions: How often each stack's deletion was asked for.
        :param removed: How many removals of each kind were asked for.
        :returns: As execute.
        """
        return self._remove(context, deadline, deletions, removed)

    def _remove(
        self, context: Context, deadline: float, deletions: Mapping[str, int], removed: Mapping[str, int]
    ) -> dict[str, int]:
        model = chosen_model(context["params"])
        teardown_order.check(context, model.approval.rules())
        estate, deletions_by_id, removed_by_kind = self.estate(model), Counter(deletions), Counter(removed)
        done: set[RemovalStep] = set()
        while left := estate.belongings():
            stage = left[0].stage
            if stage in done:
                self._wait(left, model, deadline, deletions_by_id, removed_by_kind)
            for item in left:
                if item.stage is not stage or item.remove is None:
                    continue
                if item.kind == "stack":
                    self._count_deletion(estate, item, deletions_by_id)
                self.log.info("Removing the %s", item)
                item.remove()
                removed_by_kind[item.kind] += 1
            done.add(stage)
        teardown_order.close(context)
        self.log.info("Nothing of %s is left", model.prefix)
        return dict(removed_by_kind)

    @staticmethod
    def _count_deletion(estate: Estate, stack: Belonging, deletions: Counter[str]) -> None:
        if stack.status == StackStatus.DELETE_FAILED and deletions[stack.name] >= _MAX_STACK_DELETIONS:
            failures = "; ".join(map(str, estate.cloudformation.failures(stack.name)))
            raise StackFailed(
                f"The stack could not be deleted in {_MAX_STACK_DELETIONS} attempts",
                resource=stack.name,
                why=failures or "CloudFormation names no resource",
                fix="remove what the reason names, then clear this task",
            )
        deletions[stack.name] += 1

    def _wait(
        self,
        left: Iterable[Belonging],
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
                fix="clear this task: it goes on from here",
            )
        self.log.info("Still there: %s", waiting_for)
        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=model.timeouts.poll_seconds)),
            method_name="go_on",
            kwargs={"deadline": deadline, "deletions": dict(deletions), "removed": dict(removed)},
        )


class NothingLeftOperator(_EstateOperator):
    """Lists what is left of a model: nothing, or the task is red."""

    def execute(self, context: Context) -> list[str]:
        """List what is left.

        :param context: The task's Airflow context.
        :returns: An empty list.
        :raises slipway.errors.PermanentError: Naming everything that is left.
        """
        model = chosen_model(context["params"])
        left = [str(item) for item in self.estate(model).belongings()]
        if left:
            raise PermanentError(
                "The model is not gone",
                resource=model.prefix,
                why=f"left: {', '.join(left)}",
                fix="run the teardown again",
            )
        self.log.info(
            "Left of %s: nothing. Its uploads and the records of its releases stay in the bucket", model.prefix
        )
        return left
