"""What a training job read and wrote, for Airflow's OpenLineage provider; imported only by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.aws.lineage import lineage, of_object
from slipway.aws.s3 import uri

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from slipway.plan import ReleasePlan


def of_job(plan: ReleasePlan, job: Mapping[str, Any]) -> OperatorLineage:
    """Say that a job read the zip's version and its channels, and wrote its artefact.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html

    :param plan: the plan of the release
    :param job: what DescribeTrainingJob answered; one that has not ended has no artefact
    """
    zipped = of_object(uri(plan.revision.bucket, plan.revision.key), plan.revision.version_id)
    channels = [channel["DataSource"].get("S3DataSource") for channel in job.get("InputDataConfig", [])]
    artefact = job.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    return lineage(
        [zipped, *(of_object(channel["S3Uri"]) for channel in channels if channel)],
        [of_object(artefact)] if artefact else [],
        job_arn=job["TrainingJobArn"],
    )
