"""Upload what starts a release: the source of the image, the data, then the zip."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

from demo import datasets, training_job
from tools.aws import client
from tools.settings import Settings


@dataclass(frozen=True)
class Upload:
    """One uploaded version of a zip."""

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


def upload_source(settings: Settings, prefix: str, folder: Path) -> Upload:
    """Upload the source of a model's own image, which starts its build.

    :param folder: with the Dockerfile
    """
    return _put(settings, f"image_builds/{prefix}/image.zip", pack_folder(folder))


def pack_folder(folder: Path) -> bytes:
    """Zip the files of a folder, with the Dockerfile at the top; the same files give the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), training_job.ZIP_TIME)
            member.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
            archive.writestr(member, path.read_bytes())
    return stream.getvalue()


def upload_zip(settings: Settings, prefix: str, body: bytes | None = None) -> Upload:
    """Upload a zip to the model's source key.

    :param body: the zip; None for the demo's own
    """
    key = f"training_jobs/{prefix}/trainingjob.zip"
    return _put(settings, key, training_job.build(prefix, settings.bucket) if body is None else body)


def _put(settings: Settings, key: str, body: bytes) -> Upload:
    # The approval form shows who uploaded; S3 itself only knows the account.
    metadata = {"uploaded-by": "demo"}
    answer = client(settings, "s3").put_object(Bucket=settings.bucket, Key=key, Body=body, Metadata=metadata)
    return Upload(settings.bucket, key, answer["VersionId"])
