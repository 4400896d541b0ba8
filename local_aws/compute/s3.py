"""Moves a container's files from and to S3."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from local_aws import tars, trees
from local_aws.compute.archive import unpack
from local_aws.compute.base import Channel, ContainerFailed


def split_url(url: str) -> tuple[str, str]:
    """Return bucket and key of ``s3://bucket/key`` or ``https://…/bucket/key``; the key may be empty."""
    scheme, _, rest = url.partition("://")
    path = rest if scheme == "s3" else rest.partition("/")[2]
    bucket, _, key = path.partition("/")
    return bucket, key


def _bucket_and_key(uri: str) -> tuple[str, str]:
    """Return bucket and key of an S3 URI.

    :raises ContainerFailed: it is another kind of address
    """
    bucket, key = split_url(uri)
    if not uri.startswith("s3://") or not bucket:
        raise ContainerFailed(f"ClientError: {uri} is not an S3 URI")
    return bucket, key


def relative_path(key: str, prefix: str) -> PurePosixPath:
    """Return where an object of an S3Prefix lies below the channel's directory.

    The prefix need not end with a slash: `data/train` gives `data/train/a.csv` as `a.csv`, and `data/train-2.csv` with
    its own name.
    """
    folder = prefix if prefix.endswith("/") else f"{prefix}/"
    if prefix and key.startswith(folder):
        return PurePosixPath(key[len(folder) :])
    return PurePosixPath(key[prefix.rfind("/") + 1 :])


def download_channel(client: Any, channel: Channel, folder: Path, region: str) -> None:
    """Download what a channel's S3Prefix names.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html

    :raises ContainerFailed: there is nothing, or it cannot be read
    """
    if channel.s3_data_type != "S3Prefix" or channel.compression_type != "None":
        raise ContainerFailed(
            f"ClientError: channel {channel.name} asks for S3DataType {channel.s3_data_type} with CompressionType "
            f"{channel.compression_type}; S3Prefix with None is what this AWS can download"
        )
    bucket, prefix = _bucket_and_key(channel.s3_uri)
    found = 0
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                if entry["Key"].endswith("/"):
                    # A folder made by the S3 console.
                    continue
                target = (folder / relative_path(entry["Key"], prefix)).resolve()
                if not target.is_relative_to(folder.resolve()):
                    raise ContainerFailed(f"ClientError: key {entry['Key']} leads out of channel {channel.name}")
                target.parent.mkdir(parents=True, exist_ok=True)
                client.download_file(bucket, entry["Key"], str(target))
                found += 1
    except (ClientError, BotoCoreError) as error:
        raise ContainerFailed(f"ClientError: Data download failed:{error}") from error
    except OSError as error:
        raise ContainerFailed(f"ClientError: Data download failed:{error.strerror}") from error
    if not found:
        raise ContainerFailed(
            f'ClientError: Data download failed:No S3 objects found under S3 URL "{channel.s3_uri}" given in input '
            f"data source. Please ensure that the bucket exists in the selected region ({region}), that objects exist "
            f'under that S3 prefix, and that the role has "s3:ListBucket" permissions on bucket "{bucket}".'
        )


def upload_folder(client: Any, folder: Path, uri: str, archive: Path) -> None:
    """Upload the contents of a directory as one .tar.gz.

    :param archive: the file that is written meanwhile
    :raises ContainerFailed: it cannot be written
    """
    bucket, key = _bucket_and_key(uri)
    try:
        with tarfile.open(archive, "w:gz") as tar:
            for entry in sorted(folder.iterdir()):
                tar.add(entry, arcname=entry.name)
        client.upload_file(str(archive), bucket, key)
    except (ClientError, BotoCoreError, Boto3Error) as error:
        raise ContainerFailed(f"ClientError: Artifact upload failed:{error}") from error
    finally:
        archive.unlink(missing_ok=True)


def download_model(client: Any, uri: str, folder: Path) -> None:
    """Download a model.tar.gz and unpack it within limits.

    :raises ContainerFailed: it is missing, unreadable or contains what is not allowed
    """
    bucket, key = _bucket_and_key(uri)
    archive = folder.with_name(f"{folder.name}.tar.gz")
    folder.mkdir(parents=True)
    try:
        client.download_file(bucket, key, str(archive))
        unpack(archive, folder)
    except (ClientError, BotoCoreError) as error:
        raise ContainerFailed(
            'Failed to download model data for the container "container_1". Please ensure that there is an object '
            f"located at the URL and that the role passed to CreateModel has permissions to download the model. "
            f"({uri}: {error})"
        ) from error
    except (*tars.BROKEN, OSError) as error:
        raise ContainerFailed(
            f'Failed to extract model data archive from URL "{uri}". Please ensure that the object located at the URL '
            f"is a valid tar.gz archive. ({error})"
        ) from error
    finally:
        archive.unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Delete a directory with all that is in it, if it is there."""
    trees.remove(folder)
