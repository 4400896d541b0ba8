"""A training job's checkpoints: what is in S3 is there before the container starts, and what it writes goes to S3.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path, PurePosixPath
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from local_aws import trees
from local_aws.compute import s3
from local_aws.compute.base import ContainerFailed
from local_aws.compute.inside import open_inside, own_folder

_log = logging.getLogger(__name__)

_OPT_ML = PurePosixPath("/opt/ml")
# How often new and changed files are copied while the job trains; SageMaker's page names no interval.
_COPY_SECONDS = 5.0


def folder_of(local_path: str, opt_ml: Path) -> Path | None:
    """Return the directory that the container sees at a path.

    :param local_path: LocalPath of CheckpointConfig
    :param opt_ml: the directory that the container sees as /opt/ml
    :returns: the directory; None for a path that is not below /opt/ml, which no container here can see
    """
    path = PurePosixPath(local_path)
    if ".." in path.parts or not path.is_relative_to(_OPT_ML) or path == _OPT_ML:
        return None
    return opt_ml / path.relative_to(_OPT_ML)


class Checkpoints:
    """Copies one directory from and to S3.

    :param client: S3's, as the job's role
    :param uri: S3Uri of CheckpointConfig
    :param folder: what the container sees at LocalPath, and may replace
    :param opt_ml: what it sees as /opt/ml, and cannot
    """

    def __init__(self, client: Any, uri: str, folder: Path, opt_ml: Path) -> None:
        self._client, self._folder, self._opt_ml = client, folder, opt_ml
        self._bucket, key = s3.split_url(uri)
        self._prefix = key if not key or key.endswith("/") else f"{key}/"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._copy_again, name="checkpoints", daemon=True)
        # By path below it: size and time of what was copied.
        self._copied: dict[Path, tuple[int, int]] = {}

    def begin(self) -> None:
        """Download what an earlier job has left, and begin to upload what this one writes.

        :raises ContainerFailed: it cannot be read
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            ):
                for entry in page.get("Contents", []):
                    self._download(entry["Key"])
        except (ClientError, BotoCoreError) as error:
            raise ContainerFailed(f"ClientError: Checkpoint download failed:{error}") from error
        self._thread.start()

    def _download(self, key: str) -> None:
        target = (self._folder / key[len(self._prefix) :]).resolve()
        if key.endswith("/") or not target.is_relative_to(self._folder.resolve()):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        self._client.download_file(self._bucket, key, str(target))
        self._copied[target.relative_to(self._folder.resolve())] = _state(target.stat())

    def end(self) -> None:
        """Upload what is left; the container has ended.

        :raises ContainerFailed: it cannot be written
        """
        self._ended.set()
        self._thread.join()
        try:
            self._upload()
        except (ClientError, BotoCoreError, Boto3Error) as error:
            raise ContainerFailed(f"ClientError: Checkpoint upload failed:{error}") from error

    def _copy_again(self) -> None:
        while not self._ended.wait(_COPY_SECONDS):
            try:
                self._upload()
            except (ClientError, BotoCoreError, Boto3Error, OSError, ContainerFailed) as error:
                # Tried again, and for the last time when the container has ended.
                _log.warning("Checkpoints were not copied to s3://%s/%s: %s", self._bucket, self._prefix, error)

    def _upload(self) -> None:
        for path in self._files():
            # A link could lead out of the directory, and so could the directory itself by now.
            file = open_inside(path, self._opt_ml)
            if file is None:
                continue
            with file:
                state = _state(os.fstat(file.fileno()))
                name = path.relative_to(self._folder)
                if self._copied.get(name) != state:
                    self._client.upload_fileobj(file, self._bucket, self._prefix + name.as_posix())
                    self._copied[name] = state

    def _files(self) -> list[Path]:
        """Return what is in the directory.

        :raises ContainerFailed: it is none any more, or too deep
        """
        own_folder(self._opt_ml, *self._folder.relative_to(self._opt_ml).parts)
        try:
            return sorted(Path(entry.path) for entry in trees.entries(self._folder))
        except trees.TooDeep as error:
            raise ContainerFailed(f"AlgorithmError: checkpoints: {error}") from error


def _state(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns
