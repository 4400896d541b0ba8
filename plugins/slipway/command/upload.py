"""Uploads what a release needs: the data of its channels, then the zip, which starts the release."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from email.header import Header
from pathlib import Path
from typing import Any

from slipway.command import data
from slipway.command.airflow import Airflow, quoted
from slipway.command.aws import Aws
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.output import Output
from slipway.command.sources import TRAINING, Package
from slipway.names import auto_run_id

# How an upload says who made it: slipway.aws.s3 reads it.
UPLOADED_BY = "uploaded-by"


@dataclass(frozen=True)
class Upload:
    """One uploaded version of a model's zip."""

    bucket: str
    key: str
    version_id: str
    uploaded_by: str

    def document(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return asdict(self)


def upload_zip(aws: Aws, package: Package, bucket: str, key: str, who: str) -> Upload:
    """Upload a zip under the name of whoever uploads it.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

    :raises CommandError: when S3 refuses it, or the bucket keeps no versions
    """
    with aws.calling("Cannot upload the zip", f"s3://{bucket}/{key}"):
        answer = aws.client("s3").put_object(
            Bucket=bucket,
            Key=key,
            Body=package.body,
            ContentType="application/zip",
            Metadata={UPLOADED_BY: as_metadata(who)},
        )
    version = answer.get("VersionId")
    if not version or version == "null":
        raise CommandError(
            "The upload starts no release",
            where=f"s3://{bucket}",
            why="the bucket keeps no versions, and a release is of one version",
            fix=f"turn versioning on for {bucket}, then submit again; slipway bootstrap makes such a bucket",
        )
    return Upload(bucket, key, version, who)


def run_id_of(aws: Aws, upload: Upload) -> str:
    """Return the id of the run that an upload starts: Airflow makes it of the version and of when S3 has it from.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html

    :raises CommandError: when S3 does not say when
    """
    with aws.calling("Cannot look at the uploaded zip", f"s3://{upload.bucket}/{upload.key}"):
        head = aws.client("s3").head_object(Bucket=upload.bucket, Key=upload.key, VersionId=upload.version_id)
    return auto_run_id(upload.bucket, upload.key, upload.version_id, head["LastModified"].isoformat())


def as_metadata(name: str) -> str:
    """Return a name as S3's metadata takes it: in ASCII, others encoded by RFC 2047.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html#UserMetadata
    """
    return name if name.isascii() else Header(name, "utf-8", maxlinelen=1000).encode()


def upload_data(aws: Aws, package: Package, output: Output) -> list[str]:
    """Upload the files beside the sources to the places of their channels, unless the same bytes are there.

    :returns: the addresses of what was uploaded
    """
    if package.data_folder is None:
        return []
    places = {channel.name: channel.place for channel in _channels(package)}
    s3, done = aws.client("s3"), []
    for name, files in data.local_files(package.data_folder).items():
        if name not in places:
            continue
        bucket, folder = places[name]
        for path in files:
            address = f"s3://{bucket}/{folder}{path.name}"
            with aws.calling("Cannot upload the data", address):
                if not _is_there(s3, bucket, f"{folder}{path.name}", path):
                    output.note(f"uploading {path} to {address}")
                    with path.open("rb") as body:
                        s3.put_object(Bucket=bucket, Key=f"{folder}{path.name}", Body=body, ContentType="text/csv")
                    done.append(address)
        for other in _others(aws, s3, bucket, folder, {path.name for path in files}):
            output.note(f"{other} is training data too, and not beside the sources", style="yellow")
    return done


def _channels(package: Package) -> Iterator[data.Channel]:
    """Return the channels that trainingjob.json names, as far as it can be read."""
    for one in package.document(TRAINING).get("InputDataConfig") or []:
        try:
            uri = one["DataSource"]["S3DataSource"]["S3Uri"]
            if isinstance(uri, str) and uri.startswith("s3://"):
                yield data.Channel(str(one["ChannelName"]), uri, is_csv=True)
        except (KeyError, TypeError):
            continue


def _is_there(s3: Any, bucket: str, key: str, path: Path) -> bool:
    """Tell whether S3 has these bytes: the ETag of an object that was written at once is its MD5.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    found = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", ())
    if not any(item["Key"] == key and item["Size"] == path.stat().st_size for item in found):
        return False
    with path.open("rb") as body:
        digest = hashlib.file_digest(body, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return any(item["ETag"].strip('"') == digest for item in found)


def _others(aws: Aws, s3: Any, bucket: str, folder: str, names: set[str]) -> list[str]:
    place = f"s3://{bucket}/{folder}"
    with aws.calling("Cannot list the data", place):
        found = s3.list_objects_v2(Bucket=bucket, Prefix=folder, MaxKeys=100).get("Contents", ())
    keys = [item["Key"][len(folder) :] for item in found if item["Size"]]
    return [f"{place}{key}" for key in keys if key not in names and data.is_data(key)]


def known_model(airflow: Airflow, model: str) -> Mapping[str, Any]:
    """Return the board's document of a model to whose pipeline something is about to be uploaded.

    :raises CommandError: when Airflow has no such model, or does not answer
    """
    try:
        found: Mapping[str, Any] = airflow.board(f"models/{quoted(model)}")
    except CommandError as error:
        if error.code is not Exit.NOT_FOUND:
            raise
        raise CommandError(
            "Airflow has no pipeline for this model",
            where=model,
            why=error.why,
            fix=f"put {model}.yaml into include/models of that Airflow; it is read within half a minute. If it is "
            "there: slipway doctor",
            code=Exit.NOT_FOUND,
        ) from error
    return found
