"""List what one model owns in AWS, with the call that removes each resource. Uploads and release records are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from slipway import names
from slipway.aws.autoscaling import AutoScalingHook
from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.tagging import TaggedResourcesHook
from slipway.errors import NameConflict
from slipway.plan import TAG_MODEL_PREFIX
from slipway.registry.hook import ModelRegistryHook
from slipway.states import Environment, StackStatus, TrainingJobStatus


class RemovalStep(StrEnum):
    """The steps of a teardown, in order: a resource is removed after everything that uses it."""

    JOBS_AND_STACKS = "training jobs and stacks"
    SCALABLE_TARGETS = "scalable targets"
    ENDPOINTS = "endpoints"
    ENDPOINT_CONFIGS = "endpoint configs"
    MODELS = "models"
    MODEL_PACKAGES = "model packages"
    MODEL_PACKAGE_GROUP = "model package group"


@dataclass(frozen=True)
class OwnedResource:
    """One resource of the model that still exists.

    :param remove: starts the removal, which may take a while; None while the resource is being removed or changed
    """

    step: RemovalStep
    kind: str
    name: str
    status: str = ""
    remove: Callable[[], object] | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" ({self.status})" if self.status else "")


class ModelResources:
    """The AWS resources of one model, found by name and confirmed by tag.

    :param prefix: the model's prefix
    :param endpoint_prefix: the EndpointPrefix of its deployment
    :param aws_conn_id: Airflow connection with the AWS credentials
    """

    def __init__(self, prefix: str, endpoint_prefix: str, aws_conn_id: str | None = "aws_default") -> None:
        self.prefix = prefix
        self.endpoint_prefix = endpoint_prefix
        self._sagemaker = TaggedResourcesHook(aws_conn_id=aws_conn_id)
        self._model_registry = ModelRegistryHook(aws_conn_id=aws_conn_id)
        self.cloudformation = CloudFormationHook(aws_conn_id=aws_conn_id)
        self._autoscaling = AutoScalingHook(aws_conn_id=aws_conn_id)

    def remaining(self, *, record: bool) -> list[OwnedResource]:
        """List the resources that still exist, in the order of removal.

        :param record: whether the record in the Model Registry is to be removed too
        :returns: an empty list once everything is removed
        :raises slipway.errors.NameConflict: when a stack has the model's name but not its tag
        :raises slipway.errors.AwsError: when a call fails
        """
        return [
            *self._training_jobs(),
            *self._stacks(),
            *self._scalable_targets(),
            *self._tagged(RemovalStep.ENDPOINTS, "endpoint"),
            *self._tagged(RemovalStep.ENDPOINT_CONFIGS, "endpoint config"),
            *self._tagged(RemovalStep.MODELS, "model"),
            *(self._registry() if record else ()),
        ]

    def newest_package(self) -> int | None:
        """Return the version of the newest model package on record; None if there is no record.

        :raises slipway.errors.AwsError: when a call fails
        """
        return self._model_registry.newest_version(names.model_package_group(self.prefix))

    def _training_jobs(self) -> Iterator[OwnedResource]:
        """List jobs that still run; SageMaker keeps ended jobs, which cost nothing."""
        for status in (TrainingJobStatus.IN_PROGRESS, TrainingJobStatus.STOPPING):
            beginning = f"{names.TRAINING_JOB_PREFIX}{self.prefix}-"
            for job in self._sagemaker.jobs(beginning, status, TAG_MODEL_PREFIX, self.prefix):
                running = status is TrainingJobStatus.IN_PROGRESS
                stop = partial(self._sagemaker.stop_training_job, job.name) if running else None
                yield OwnedResource(RemovalStep.JOBS_AND_STACKS, job.kind, job.name, status.value, stop)

    def _stacks(self) -> Iterator[OwnedResource]:
        # Production first: people look for its name in the log.
        for environment in (Environment.PRODUCTION, Environment.DEVELOPMENT):
            stack = self.cloudformation.describe_stack(names.stack_name(self.prefix, environment))
            if stack is None or stack.status is StackStatus.DELETE_COMPLETE:
                continue
            owner = stack.tags.get(TAG_MODEL_PREFIX)
            if owner != self.prefix:
                raise NameConflict(
                    "A stack has this model's name but belongs to something else",
                    resource=stack.name,
                    why=f"its tag {TAG_MODEL_PREFIX} is {owner}",
                    fix="delete the stack by hand if nobody needs it, then run the teardown again",
                )
            remove = None if stack.status.in_progress else partial(self.cloudformation.delete_stack, stack.stack_id)
            # By StackId, which also finds a stack whose deletion failed.
            yield OwnedResource(RemovalStep.JOBS_AND_STACKS, "stack", stack.stack_id, stack.status.value, remove)

    def _scalable_targets(self) -> Iterator[OwnedResource]:
        for environment in Environment:
            endpoint = names.endpoint_name(self.endpoint_prefix, environment)
            for target in self._autoscaling.scalable_targets(endpoint, (names.LIVE_VARIANT, names.TRIAL_VARIANT)):
                yield OwnedResource(
                    RemovalStep.SCALABLE_TARGETS,
                    "scalable target",
                    target.resource_id,
                    remove=partial(self._autoscaling.deregister, target),
                )

    def _tagged(self, step: RemovalStep, kind: str) -> Iterator[OwnedResource]:
        for resource in self._sagemaker.list_tagged(kind, TAG_MODEL_PREFIX, self.prefix):
            deleting = resource.status == "Deleting"
            remove = None if deleting else partial(self._sagemaker.delete_resource, resource)
            yield OwnedResource(step, kind, resource.name, resource.status or "", remove)

    def _registry(self) -> Iterator[OwnedResource]:
        group = names.model_package_group(self.prefix)
        if self._model_registry.describe_model_package_group(group) is None:
            return
        for arn in self._model_registry.model_package_arns(group):
            yield OwnedResource(
                RemovalStep.MODEL_PACKAGES,
                "model package",
                arn,
                remove=partial(self._model_registry.delete_model_package, arn),
            )
        yield OwnedResource(
            RemovalStep.MODEL_PACKAGE_GROUP,
            "model package group",
            group,
            remove=partial(self._model_registry.delete_model_package_group, group),
        )
