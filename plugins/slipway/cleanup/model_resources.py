"""What one model owns in AWS, and how each piece of it is removed. Its uploads and their records stay in the bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from slipway import names
from slipway.aws.autoscaling import AutoScalingHook
from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.sagemaker import SageMakerHook
from slipway.errors import NameConflict
from slipway.plan import TAG_MODEL_PREFIX
from slipway.states import Environment, StackStatus, TrainingJobStatus


class RemovalStep(StrEnum):
    """The order of removal: nothing goes before what uses it."""

    JOBS_AND_STACKS = "training jobs and stacks"
    SCALABLE_TARGETS = "scalable targets"
    ENDPOINTS = "endpoints"
    ENDPOINT_CONFIGS = "endpoint configs"
    MODELS = "models"
    MODEL_PACKAGES = "model packages"
    MODEL_PACKAGE_GROUP = "model package group"


@dataclass(frozen=True)
class Belonging:
    """One thing of the model that is still there.

    :param remove: Starts the removal, which may take a while; None while it is on its way or cannot be touched yet.
    """

    stage: RemovalStep
    kind: str
    name: str
    status: str = ""
    remove: Callable[[], object] | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" ({self.status})" if self.status else "")


class Estate:
    """Everything of one model, found by name and confirmed by tag.

    :param prefix: The model's prefix.
    :param endpoint_prefix: The EndpointPrefix of its deployment.
    :param aws_conn_id: Airflow connection with the AWS credentials.
    """

    def __init__(self, prefix: str, endpoint_prefix: str, aws_conn_id: str | None = "aws_default") -> None:
        self.prefix = prefix
        self.endpoint_prefix = endpoint_prefix
        self._sagemaker = SageMakerHook(aws_conn_id=aws_conn_id)
        self.cloudformation = CloudFormationHook(aws_conn_id=aws_conn_id)
        self._autoscaling = AutoScalingHook(aws_conn_id=aws_conn_id)

    def belongings(self) -> list[Belonging]:
        """List what is left, in the order of removal.

        :returns: Nothing once the model is gone.
        :raises slipway.errors.NameConflict: When a stack of the model's name is not the model's.
        :raises slipway.errors.AwsError: When a call fails.
        """
        return [
            *self._training_jobs(),
            *self._stacks(),
            *self._scalable_targets(),
            *self._tagged(RemovalStep.ENDPOINTS, "endpoint"),
            *self._tagged(RemovalStep.ENDPOINT_CONFIGS, "endpoint config"),
            *self._tagged(RemovalStep.MODELS, "model"),
            *self._registry(),
        ]

    def _training_jobs(self) -> Iterator[Belonging]:
        """Jobs that still run; ended ones are records that cost nothing and that SageMaker keeps."""
        for status in (TrainingJobStatus.IN_PROGRESS, TrainingJobStatus.STOPPING):
            filters = {"NameContains": f"mlops-{self.prefix}-", "StatusEquals": status.value}
            for job in self._sagemaker.list_tagged("training job", TAG_MODEL_PREFIX, self.prefix, **filters):
                running = status is TrainingJobStatus.IN_PROGRESS
                stop = partial(self._sagemaker.stop_training_job, job.name) if running else None
                yield Belonging(RemovalStep.JOBS_AND_STACKS, job.kind, job.name, status.value, stop)

    def _stacks(self) -> Iterator[Belonging]:
        # Production first: its name is what people look for in the log.
        for environment in (Environment.PRODUCTION, Environment.DEVELOPMENT):
            stack = self.cloudformation.describe_stack(names.stack_name(self.prefix, environment))
            if stack is None or stack.status is StackStatus.DELETE_COMPLETE:
                continue
            owner = stack.tags.get(TAG_MODEL_PREFIX)
            if owner != self.prefix:
                raise NameConflict(
                    "A stack of the model's name is not the model's",
                    resource=stack.name,
                    why=f"its tag {TAG_MODEL_PREFIX} is {owner}",
                    fix="delete it by hand if it may go, then run this again",
                )
            remove = None if stack.status.in_progress else partial(self.cloudformation.delete_stack, stack.stack_id)
            # The StackId, since a stack whose deletion failed is deleted by it.
            yield Belonging(RemovalStep.JOBS_AND_STACKS, "stack", stack.stack_id, stack.status.value, remove)

    def _scalable_targets(self) -> Iterator[Belonging]:
        for environment in Environment:
            endpoint = names.endpoint_name(self.endpoint_prefix, environment)
            for target in self._autoscaling.scalable_targets(endpoint):
                yield Belonging(
                    RemovalStep.SCALABLE_TARGETS,
                    "scalable target",
                    target.resource_id,
                    remove=partial(self._autoscaling.deregister, target),
                )

    def _tagged(self, stage: RemovalStep, kind: str) -> Iterator[Belonging]:
        for resource in self._sagemaker.list_tagged(kind, TAG_MODEL_PREFIX, self.prefix):
            deleting = resource.status == "Deleting"
            remove = None if deleting else partial(self._sagemaker.delete_resource, resource)
            yield Belonging(stage, kind, resource.name, resource.status or "", remove)

    def _registry(self) -> Iterator[Belonging]:
        group = names.model_package_group(self.prefix)
        if self._sagemaker.describe_model_package_group(group) is None:
            return
        for arn in self._sagemaker.model_package_arns(group):
            yield Belonging(
                RemovalStep.MODEL_PACKAGES,
                "model package",
                arn,
                remove=partial(self._sagemaker.delete_model_package, arn),
            )
        yield Belonging(
            RemovalStep.MODEL_PACKAGE_GROUP,
            "model package group",
            group,
            remove=partial(self._sagemaker.delete_model_package_group, group),
        )
