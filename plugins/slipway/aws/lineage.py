"""The datasets of a release as OpenLineage names them; only called by Airflow's OpenLineage provider.

Names: https://openlineage.io/docs/spec/naming. It has no entry for SageMaker, so its resources are named as those of
AWS Glue are there: the namespace is the ARN's beginning, the name is the rest.
https://airflow.apache.org/docs/apache-airflow-providers-openlineage/stable/guides/developer.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slipway.aws.s3 import bucket_and_key

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import Dataset


def of_object(object_uri: str, version: str | None = None) -> Dataset:
    """Name an object of S3, or all whose keys begin alike.

    :param object_uri: as s3://bucket/key
    :param version: its VersionId, if one version was read or written
    """
    bucket, key = bucket_and_key(object_uri)
    return _dataset(f"s3://{bucket}", key, version)


def of_resource(arn: str, version: str | None = None) -> Dataset:
    """Name a resource of SageMaker, as ``arn:aws:sagemaker:us-west-2:123456789012`` and ``endpoint/iris-model-prd``.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html

    :param arn: the resource's ARN
    :param version: which version of it was read or written
    """
    *service, resource = arn.split(":", 5)
    return _dataset(":".join(service), resource, version)


def lineage(inputs: Sequence[Dataset], outputs: Sequence[Dataset], *, job_arn: str | None = None) -> OperatorLineage:
    """Say what a task read and wrote.

    :param job_arn: the job of SageMaker that did it
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.generated.external_query_run import ExternalQueryRunFacet

    facets: dict[str, Any] = {}
    if job_arn:
        facets["externalQuery"] = ExternalQueryRunFacet(externalQueryId=job_arn, source="sagemaker")
    return OperatorLineage(inputs=list(inputs), outputs=list(outputs), run_facets=facets)


def _dataset(namespace: str, name: str, version: str | None) -> Dataset:
    from openlineage.client.event_v2 import Dataset
    from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet

    facets: dict[str, Any] = {"version": DatasetVersionDatasetFacet(datasetVersion=version)} if version else {}
    return Dataset(namespace=namespace, name=name, facets=facets)
