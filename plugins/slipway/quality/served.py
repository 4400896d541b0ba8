"""Find out what an endpoint serves: whether it is the release it was deployed for, and what its answers mean."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from slipway import names
from slipway.aws.s3 import S3Hook, bucket_and_key
from slipway.errors import AwsError, EndpointTestFailed, PermanentError
from slipway.load.answers import Answers, answers_for, objective_of
from slipway.request.archive import MAX_BYTES
from slipway.request.fence import parse_zip

log = logging.getLogger(__name__)

Containers = Sequence[Mapping[str, Any]]


class ModelReader(Protocol):
    """The part of SageMaker that is needed to look behind an endpoint."""

    def describe_endpoint_config(self, name: str) -> dict[str, Any] | None:
        """Return what DescribeEndpointConfig answered."""

    def describe_model(self, name: str) -> dict[str, Any] | None:
        """Return what DescribeModel answered."""


def containers(sagemaker: ModelReader, endpoint: Mapping[str, Any]) -> dict[str, Containers]:
    """Return the containers behind each variant of an endpoint; the last one gives the answer.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModel.html

    :param sagemaker: usually a SageMakerHook
    :param endpoint: what DescribeEndpoint answered
    """
    config = sagemaker.describe_endpoint_config(endpoint["EndpointConfigName"]) or {}
    found: dict[str, Containers] = {}
    for variant in config.get("ProductionVariants", []):
        model = sagemaker.describe_model(variant["ModelName"]) or {}
        primary = [model["PrimaryContainer"]] if "PrimaryContainer" in model else []
        found[variant["VariantName"]] = [*primary, *model.get("Containers", [])]
    return found


def data_urls(served: Mapping[str, Containers]) -> dict[str, list[str]]:
    """Return the artefacts behind each variant."""
    return {
        variant: [item["ModelDataUrl"] for item in items if "ModelDataUrl" in item] for variant, items in served.items()
    }


def answers_of(served: Mapping[str, Containers], s3: S3Hook) -> dict[str, Answers]:
    """Return what each variant answers, by its image and by the hyperparameters that its release was trained with.

    :param served: the containers behind each variant
    :param s3: reads the release's copy of the request, which lies beside its artefact
    :raises slipway.errors.AwsError: when a call fails
    """
    return {variant: _answers(items[-1], s3) if items else Answers.UNKNOWN for variant, items in served.items()}


def _answers(container: Mapping[str, Any], s3: S3Hook) -> Answers:
    image, url = container.get("Image", ""), container.get("ModelDataUrl", "")
    if objective_of(image, {}) is None:
        return Answers.UNKNOWN
    bucket, key = bucket_and_key(url)
    try:
        request = parse_zip(s3.read_version(bucket, names.request_beside(key), max_bytes=MAX_BYTES))
    except AwsError:
        # Without the right to read it, nobody knows what an answer means.
        raise
    except PermanentError as error:
        log.warning(
            "The answers of %s are read by their form, because its request cannot be read: %s", url, error.problem
        )
        return Answers.UNKNOWN
    return answers_for(objective_of(image, request.training_job.hyper_parameters or {}))


def check_config(endpoint: Mapping[str, Any], outputs: Mapping[str, str], revision_id: str) -> None:
    """Check that an endpoint runs the endpoint config that this release's stack created.

    :param endpoint: what DescribeEndpoint answered
    :param outputs: the stack's outputs, as the deployment task returned them
    :param revision_id: the release's revision
    :raises EndpointTestFailed: when the endpoint config or the revision is another one
    """
    live, ours = endpoint["EndpointConfigName"], outputs["EndpointConfigName"]
    if live != ours:
        raise EndpointTestFailed(
            "The endpoint is InService, but not with the endpoint config of this release",
            resource=endpoint["EndpointName"],
            why=f"it runs {live}, this release's is {ours}",
            fix="look for a roll-back in the stack's events, or for a newer release",
        )
    if outputs["Revision"] != revision_id:
        raise EndpointTestFailed(
            "The stack serves another revision",
            resource=endpoint["EndpointName"],
            why=f"it is {outputs['Revision']}, this release is {revision_id}",
            fix="run the deployment again",
        )


def variant_serving(data_url: str, served: Mapping[str, Sequence[str]], endpoint_name: str) -> str:
    """Find the variant that serves an artefact; names and stack outputs alone do not prove it.

    :param data_url: the artefact of the registered model
    :param served: the artefacts behind each variant
    :param endpoint_name: for the message
    :raises EndpointTestFailed: when no variant serves the artefact
    """
    for variant, data_urls in served.items():
        if data_url in data_urls:
            return variant
    found = ", ".join(url for urls in served.values() for url in urls)
    raise EndpointTestFailed(
        "The endpoint does not serve the model of this release",
        resource=endpoint_name,
        why=f"it serves {found or 'no artefact'}, registered was {data_url}",
        fix="look for a newer release or a change by hand, then run the deployment again",
    )
