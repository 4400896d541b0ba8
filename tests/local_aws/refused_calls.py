"""Calls that AWS refuses, and that the local AWS's own services or ministack alone refuse in the same way."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.local_aws.refusals import CFN, DOCS, TOPIC, Case, made, new_bucket, outcome, template
from tests.local_aws.sagemaker_cases import training_request, unique, upload
from tests.local_aws.server import LocalAws
from tests.local_aws.signing import signed

_SAGEMAKER = f"{DOCS}/sagemaker/latest/APIReference"
_RUNTIME = f"{_SAGEMAKER}/API_runtime_InvokeEndpoint.html"
_TAGS = [{"Key": "team", "Value": "a"}]


@cache
def _data(aws: LocalAws) -> str:
    """Upload training data; return its prefix."""
    prefix = unique("refused")
    upload(aws, prefix)
    return prefix


def _job(change: Callable[[dict[str, Any]], object]) -> Callable[[LocalAws], str]:
    """Ask for a training job with a change of a right request; nothing may have started."""

    def ask(aws: LocalAws) -> str:
        name, sagemaker = unique("refused"), aws.client("sagemaker")
        request = training_request(name, _data(aws))
        change(request)
        refusal = outcome(lambda: sagemaker.create_training_job(**request))
        there = outcome(lambda: sagemaker.describe_training_job(TrainingJobName=name))
        return f"{there} after {refusal}" if there == "accepted" else refusal

    return ask


def _with(**members: Any) -> Callable[[LocalAws], str]:
    return _job(lambda request: request.update(members))


def _times(**condition: int) -> dict[str, Any]:
    return {"StoppingCondition": {"MaxRuntimeInSeconds": 60, **condition}}


def _invoked(**members: Any) -> Callable[[LocalAws], str]:
    def ask(aws: LocalAws) -> str:
        runtime = aws.client("sagemaker-runtime")
        return outcome(lambda: runtime.invoke_endpoint(EndpointName="any", Body=b"1", **members))

    return ask


def _version(aws: LocalAws) -> str:
    sagemaker, group = aws.client("sagemaker"), unique("group")
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    return outcome(lambda: sagemaker.create_model_package(ModelPackageGroupName=group, Tags=_TAGS))


def _of_runtime(path: str) -> Callable[[LocalAws], str]:
    def ask(aws: LocalAws) -> str:
        url = f"{aws.endpoint_url}/endpoints/any/{path}"
        try:
            urlopen(Request(url, b"1", signed("POST", url, "sagemaker", b"1")), timeout=60)  # noqa: S310
        except HTTPError as refused:
            answer = json.loads(refused.read())
            return f"{answer['__type']}: {answer['message']}"
        return "accepted"

    return ask


def _cancelled(aws: LocalAws) -> str:
    stacks, name = aws.client("cloudformation"), made(aws, template(TOPIC))
    return outcome(lambda: stacks.cancel_update_stack(StackName=name))


def _from_elsewhere(aws: LocalAws) -> str:
    bucket = new_bucket(aws)
    url = f"{aws.endpoint_url}/{bucket}"
    try:
        urlopen(Request(url, headers=signed("GET", url, "s3", region="eu-west-1")), timeout=60)  # noqa: S310
    except HTTPError as refused:
        answer = refused.read().decode()
        return f"{answer.partition('<Code>')[2].partition('</Code>')[0]}: {refused.headers['x-amz-bucket-region']}"
    return "accepted"


REFUSED_CALLS = [
    Case(
        "a training job with a tag of AWS's own",
        _with(Tags=[{"Key": "aws:x", "Value": "1"}]),
        "ValidationException: *aws: prefixed tag key names*",
        f"{_SAGEMAKER}/API_Tag.html",
    ),
    Case(
        "a spot job without a wait",
        _with(EnableManagedSpotTraining=True),
        "ValidationException: Invalid MaxWaitTimeInSeconds. It must be present*",
        f"{_SAGEMAKER}/API_StoppingCondition.html",
    ),
    Case(
        "a spot job with a wait that is too short",
        _with(EnableManagedSpotTraining=True, **_times(MaxWaitTimeInSeconds=59)),
        "ValidationException: Invalid MaxWaitTimeInSeconds.*",
        f"{_SAGEMAKER}/API_StoppingCondition.html",
    ),
    Case(
        "a job with a wait and without spot",
        _with(**_times(MaxWaitTimeInSeconds=60)),
        "ValidationException: *MaxWaitTimeInSeconds can be set only when EnableManagedSpotTraining*",
        f"{_SAGEMAKER}/API_StoppingCondition.html",
    ),
    Case(
        "a job of more than 28 days",
        _with(**_times(MaxRuntimeInSeconds=28 * 86400 + 1)),
        "ValidationException: *less than or equal to 2419200*",
        f"{_SAGEMAKER}/API_StoppingCondition.html",
    ),
    Case(
        "a job with an image and an algorithm",
        _job(lambda request: request["AlgorithmSpecification"].update(AlgorithmName="mine")),
        "ValidationException: Cannot specify both*",
        f"{_SAGEMAKER}/API_AlgorithmSpecification.html",
    ),
    Case(
        "a job with two channels of one name",
        _job(lambda request: request.update(InputDataConfig=[request["InputDataConfig"][0]] * 2)),
        "ValidationException: Duplicate channel names*",
        f"{_SAGEMAKER}/API_CreateTrainingJob.html",
    ),
    Case(
        "a version of a package with tags",
        _version,
        "ValidationException: Tags are not supported on a versioned model package*",
        f"{_SAGEMAKER}/API_CreateModelPackage.html",
    ),
    Case(
        "attributes of 1025 characters",
        _invoked(CustomAttributes="a" * 1025),
        "ValidationError: *length less than or equal to 1024*",
        _RUNTIME,
    ),
    Case(
        "a model of an ordinary endpoint",
        _invoked(TargetModel="model.tar.gz"),
        "ValidationError: *TargetModel is for a multi-model endpoint*",
        _RUNTIME,
    ),
    Case(
        "a container of an ordinary endpoint",
        _invoked(TargetContainerHostname="second"),
        "ValidationError: *TargetContainerHostname is for a multi-container endpoint*",
        _RUNTIME,
    ),
    Case(
        "a component of an ordinary endpoint",
        _invoked(InferenceComponentName="component"),
        "ValidationError: *InferenceComponentName is for*",
        _RUNTIME,
    ),
    *(
        Case(
            f"the path {path} of the runtime",
            _of_runtime(path),
            f"UnknownOperationException: The operation {operation} *",
            f"{_SAGEMAKER}/API_Operations_Amazon_SageMaker_Runtime.html",
        )
        for path, operation in (
            ("nope", "nope"),
            ("invocations/x", "x"),
            ("async-invocations", "InvokeEndpointAsync"),
            ("invocations-response-stream", "InvokeEndpointWithResponseStream"),
        )
    ),
    Case(
        "the cancellation of an update that does not run",
        _cancelled,
        "ValidationError: CancelUpdateStack cannot be called from current stack status",
        f"{CFN}/APIReference/API_CancelUpdateStack.html",
    ),
    Case(
        "a bucket by another region",
        _from_elsewhere,
        "PermanentRedirect: us-west-2",
        f"{DOCS}/AmazonS3/latest/API/ErrorResponses.html",
    ),
]
