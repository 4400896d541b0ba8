"""SageMaker: training jobs, models, endpoint configs and endpoints."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.sagemaker_api import SageMakerApiHook, is_missing_resource
from slipway.aws.session import AwsHook
from slipway.errors import AwsError
from slipway.states import TrainingJobStatus

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html
_ENDED_TEXT = "training job is in status"
# SageMaker's answer about an endpoint that is being changed, also by auto scaling.
_BUSY_TEXT = "in-progress endpoint"
# The largest page of the List operations; the default is ten.
PAGE_SIZE = 100


@dataclass(frozen=True)
class Resource:
    """One SageMaker resource as its List operation names it."""

    kind: str
    name: str
    arn: str
    status: str | None = None


@dataclass(frozen=True)
class Invocation:
    """One answer of an endpoint.

    :param latency_ms: the time of the request that was answered; failed attempts do not count
    """

    body: bytes
    variant: str | None
    latency_ms: float


@dataclass(frozen=True)
class Listing:
    """How a kind of resource is listed: boto3's operation, and the members of its answer."""

    operation: str
    items: str
    name: str
    arn: str
    status: str | None = None


LISTINGS = {
    "training job": Listing(
        "list_training_jobs", "TrainingJobSummaries", "TrainingJobName", "TrainingJobArn", "TrainingJobStatus"
    ),
    "endpoint": Listing("list_endpoints", "Endpoints", "EndpointName", "EndpointArn", "EndpointStatus"),
    "endpoint config": Listing("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", "EndpointConfigArn"),
    "model": Listing("list_models", "Models", "ModelName", "ModelArn"),
}


class SageMakerHook(SageMakerApiHook):
    """Training jobs, models, endpoint configs and endpoints.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html
    """

    def describe_training_job(self, name: str) -> dict | None:
        """Describe a training job.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html

        :param name: the job's name
        :returns: the description, or None if there is no such job
        """
        return self.describe_or_none("describe_training_job", name, TrainingJobName=name)

    @patient
    def create_training_job(self, parameters: dict) -> str:
        """Create a training job.

        When the answer is lost, the repeated call finds the name taken; the caller then adopts the job by its digest.
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html

        :param parameters: the operation's parameters
        :returns: the job's ARN
        :raises slipway.errors.AwsError: with the code ``ResourceInUse`` where the name is taken,
            ``ResourceLimitExceeded`` where a quota is used up
        """
        with aws_call(
            "create the training job",
            parameters["TrainingJobName"],
            fix="correct what the answer names in trainingjob.json, and upload the zip again",
        ):
            return self.conn.create_training_job(**parameters)["TrainingJobArn"]

    @patient
    def stop_training_job(self, name: str) -> bool:
        """Ask a training job to stop.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html

        :param name: the job's name
        :returns: False if the job has ended or does not exist
        """
        with aws_call("stop the training job", name):
            try:
                self.conn.stop_training_job(TrainingJobName=name)
            except ClientError as error:
                if is_missing_resource(error) or is_ended(error):
                    return False
                raise
        return True

    @patient
    def training_jobs_in_progress(self, *, name_contains: str, created_before: datetime) -> list[Resource]:
        """List the training jobs in progress.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html

        :param name_contains: a part of their names
        :param created_before: only jobs older than this
        :returns: the jobs; one call for each hundred of them
        :raises slipway.errors.AwsError: when a call fails
        """
        filters = {
            "NameContains": name_contains,
            "StatusEquals": TrainingJobStatus.IN_PROGRESS.value,
            "CreationTimeBefore": created_before,
            "MaxResults": PAGE_SIZE,
        }
        return list(self._list("training job", filters))

    def describe_endpoint(self, name: str) -> dict | None:
        """Describe an endpoint.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html

        :param name: the endpoint's name
        :returns: the description, or None if there is no such endpoint
        """
        return self.describe_or_none("describe_endpoint", name, EndpointName=name)

    def describe_endpoint_config(self, name: str) -> dict | None:
        """Describe an endpoint config.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpointConfig.html

        :param name: the config's name
        :returns: the description, or None if there is no such config
        """
        return self.describe_or_none("describe_endpoint_config", name, EndpointConfigName=name)

    def describe_model(self, name: str) -> dict | None:
        """Describe a model.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModel.html

        :param name: the model's name
        :returns: the description, or None if there is no such model
        """
        return self.describe_or_none("describe_model", name, ModelName=name)

    @patient
    def update_weights_and_capacities(self, name: str, changes: list[dict[str, Any]]) -> bool:
        """Change how an endpoint's variants share requests, and how many instances they have.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpointWeightsAndCapacities.html

        :param name: the endpoint's name
        :param changes: DesiredWeightsAndCapacities
        :returns: False if another change of the endpoint is under way: wait, then try again
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("change the weights of the endpoint", name):
            try:
                self.conn.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=changes)
            except ClientError as error:
                if _BUSY_TEXT in str(error):
                    return False
                raise
        return True

    def delete_resource(self, resource: Resource) -> bool:
        """Delete an endpoint, endpoint config or model.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteEndpoint.html

        :param resource: what to delete
        :returns: False if it was gone
        """
        operation, named = resource.kind.replace(" ", "_"), {LISTINGS[resource.kind].name: resource.name}
        try:
            return self.delete(f"delete_{operation}", resource.name, **named)
        except AwsError as error:
            # The role may delete what carries a tag, and what is gone carries none.
            denied = error.code == "AccessDeniedException"
            if denied and self.describe_or_none(f"describe_{operation}", resource.name, **named) is None:
                return False
            raise

    @patient
    def invoke_endpoint(self, endpoint_name: str, body: bytes, *, target_variant: str | None = None) -> Invocation:
        """Ask an endpoint for predictions, CSV in and CSV out; a retry only costs another prediction.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html

        :param endpoint_name: the endpoint's name
        :param body: CSV rows without a header and without labels
        :param target_variant: the variant that must answer; chosen by weight if None
        :returns: the predictions and the variant that made them
        :raises slipway.errors.AwsError: with the code ``ModelError`` where the container failed
        """
        parameters: dict[str, Any] = {"EndpointName": endpoint_name, "Body": body, "ContentType": "text/csv"}
        if target_variant:
            parameters["TargetVariant"] = target_variant
        with aws_call("invoke the endpoint", endpoint_name):
            client = self._runtime.conn
            started = time.perf_counter()
            response = client.invoke_endpoint(Accept="text/csv", **parameters)
            body = response["Body"].read()
            latency_ms = (time.perf_counter() - started) * 1000
            return Invocation(body, response.get("InvokedProductionVariant"), latency_ms)

    @cached_property
    def _runtime(self) -> AwsHook:
        return AwsHook(
            aws_conn_id=self.aws_conn_id,
            client_type="sagemaker-runtime",
            region_name=self.region_name,
            verify=self._verify,
            # A retry of botocore would count as one slow answer; the patient method retries anyway.
            config=self.config.merge(Config(retries={"total_max_attempts": 1})),
        )

    def _list(self, kind: str, filters: Mapping[str, Any]) -> Iterator[Resource]:
        listing = LISTINGS[kind]
        with aws_call(listing.operation.replace("_", " "), kind):
            for page in self.conn.get_paginator(listing.operation).paginate(**filters):
                for item in page[listing.items]:
                    status = item.get(listing.status) if listing.status else None
                    yield Resource(kind, item[listing.name], item[listing.arn], status)

    def _tags_or_none(self, arn: str) -> dict[str, str]:
        """Read the tags of a resource that may be deleted between the listing and this call."""
        answer = self.describe_or_none("list_tags", arn, ResourceArn=arn) or {}
        return {tag["Key"]: tag["Value"] for tag in answer.get("Tags", [])}


def is_ended(error: ClientError) -> bool:
    """Tell whether StopTrainingJob was refused because the job has ended.

    :param error: what boto3 raised
    :returns: True for the service's refusal to stop a job in a final status
    """
    return error.response["Error"]["Code"] == "ValidationException" and _ENDED_TEXT in str(error)
