"""Upload what starts a release: the data, then the zip."""

from __future__ import annotations

from dataclasses import dataclass

from demo import datasets, training_job
from tools.aws import client
from tools.settings import Settings


@dataclass(frozen=True)
class Upload:
    """One uploaded version of a model's zip."""

    bucket: str
    key: str
    version_id: str


def upload_data(settings: Settings, prefix: str, dataset: str) -> datasets.Split:
    """Upload the two files of a data set to the keys of the zip's channels."""
    s3 = client(settings, "s3")
    split = datasets.load(dataset)
    for channel, rows in (("train", split.train), ("validation", split.held_out)):
        key = f"{prefix}/input/{channel}/{dataset}.csv"
        s3.put_object(Bucket=settings.bucket, Key=key, Body=datasets.to_csv(rows), ContentType="text/csv")
    return split


def upload_zip(settings: Settings, prefix: str, body: bytes | None = None) -> Upload:
    """Upload a zip to the model's source key.

    :param body: the zip; None for the demo's own
    """
    key = f"training_jobs/{prefix}/trainingjob.zip"
    body = training_job.build(prefix, settings.bucket) if body is None else body
    # The approval form shows who uploaded; S3 itself only knows the account.
    metadata = {"uploaded-by": "demo"}
    answer = client(settings, "s3").put_object(Bucket=settings.bucket, Key=key, Body=body, Metadata=metadata)
    return Upload(settings.bucket, key, answer["VersionId"])
