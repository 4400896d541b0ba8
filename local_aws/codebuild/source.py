"""Sources in S3: downloaded with the service role's permissions, and unpacked within limits.

https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectSource.html
"""

import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from local_aws import trees
from local_aws.codebuild.errors import BuildProblem

# What a build may use of the disk is in `Limits`; these are for an archive that is made to harm.
_MAX_MEMBERS = 100_000
_MAX_BYTES = 8 * 1024**3
_BLOCK_BYTES = 1024 * 1024


def download(client: Any, location: str, version: str, folder: Path, archive: Path) -> str:
    """Download the source of a build.

    :param client: of S3, with the role's permissions
    :param location: ``BUCKET/KEY`` of a zip, or ``BUCKET/PREFIX/`` of a folder
    :param version: VersionId of the zip; empty for the newest
    :param folder: where the source goes; it exists
    :param archive: where the zip may be kept meanwhile
    :returns: the VersionId of the zip; empty where the bucket has no versions
    :raises BuildProblem: it cannot be read, or unpacked
    """
    bucket, _, key = location.removeprefix("arn:aws:s3:::").partition("/")
    try:
        if key.endswith("/"):
            _download_folder(client, bucket, key, folder)
            return ""
        found = client.get_object(Bucket=bucket, Key=key, **({"VersionId": version} if version else {}))
        with archive.open("wb") as file:
            for block in found["Body"].iter_chunks(_BLOCK_BYTES):
                file.write(block)
    except ClientError as error:
        raise _client_error(f"{error} for primary source and source version {version}") from error
    _unpack(archive, folder)
    archive.unlink()
    return str(found.get("VersionId", ""))


def _download_folder(client: Any, bucket: str, prefix: str, folder: Path) -> None:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for one in page.get("Contents", []):
            name = one["Key"].removeprefix(prefix)
            if name and not name.endswith("/"):
                path = folder / _inside(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                client.download_file(bucket, one["Key"], str(path))


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip; a member that is a link or leads outside, or too much of it, is refused."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = zipped.infolist()
            if len(members) > _MAX_MEMBERS:
                raise _client_error(f"the source has more than {_MAX_MEMBERS} members")
            left = _MAX_BYTES
            for member in members:
                mode = member.external_attr >> 16
                if stat.S_ISLNK(mode):
                    raise _client_error(f"the source has a link: {member.filename}")
                path = folder / _inside(member.filename)
                if member.is_dir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                left -= _extract(zipped, member, path, left)
                if mode & 0o111:
                    path.chmod(0o755)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise _client_error(f"error while unzipping the source: {error}") from error


def _extract(zipped: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, most: int) -> int:
    """Write one member; return how many bytes it has, whatever the archive says of them."""
    size = 0
    with zipped.open(member) as packed, path.open("wb") as file:
        while block := packed.read(_BLOCK_BYTES):
            size += len(block)
            if size > most:
                raise _client_error(f"the source has more than {_MAX_BYTES} bytes")
            file.write(block)
    return size


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or len(path.parts) > trees.MAX_DEPTH:
        raise _client_error(f"the source has a member that leads outside, or is too deep: {name[:200]}")
    return path


def _client_error(message: str) -> BuildProblem:
    return BuildProblem("CLIENT_ERROR", message)
