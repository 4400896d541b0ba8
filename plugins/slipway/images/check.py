"""The body of the task ``check_source``: it fences an image's source, and keeps the copy that is built."""

from __future__ import annotations

import hashlib
import logging
from typing import Any, Protocol

from slipway import image_names
from slipway.aws.identity import identity
from slipway.aws.placeholders import AwsIdentity
from slipway.aws.s3 import S3Hook, uri
from slipway.errors import NameConflict, PermanentError
from slipway.images.archive import MIB, read_source
from slipway.images.checked import CheckedSource
from slipway.images.dockerfile import check_dockerfile
from slipway.images.refusals import Refusals
from slipway.model.config import ModelConfig
from slipway.model.image_build import ImageBuild
from slipway.plan import Revision

log = logging.getLogger(__name__)


class SourceStore(Protocol):
    """The part of S3 that the task needs."""

    def head(self, bucket: str, key: str, version_id: str | None = None) -> dict[str, Any] | None:
        """Describe an object; None where it does not exist."""

    def read_version(self, bucket: str, key: str, version_id: str | None = None, *, max_bytes: int) -> bytes:
        """Return one version of an object; refuse one that is larger than ``max_bytes``."""

    def uploader(self, bucket: str, key: str, version_id: str) -> str | None:
        """Return who uploaded a version, or None if the version does not exist."""

    def put_if_absent(self, bucket: str, key: str, data: bytes, *, content_type: str) -> bool:
        """Write an object; return False if it already exists."""


def check_source(
    model: ModelConfig,
    bounds: ImageBuild,
    revision: Revision,
    *,
    s3: SourceStore | None = None,
    aws: AwsIdentity | None = None,
) -> CheckedSource:
    """Read the pinned zip, check it by the model file, and copy it to where only Airflow's role writes.

    It calls S3 and STS, not CodeBuild or ECR. A second run makes the same copy.

    :param model: the model file
    :param bounds: what it lets a build do
    :param revision: what ``source`` pinned
    :param s3: S3; through the model's connection if None
    :param aws: account and region; looked up if None
    :raises slipway.errors.ImageRefused: with everything that is wrong with the source
    :raises NameConflict: when the copy's place has another zip
    """
    max_bytes = bounds.max_source_mib * MIB
    if revision.size_bytes > max_bytes:
        refusals = Refusals()
        why = f"expected at most {max_bytes} bytes, found {revision.size_bytes}"
        refusals.add("image.zip", why, "zip less, or see image.build.max_source_mib")
        refusals.raise_any()
    s3 = s3 or S3Hook(aws_conn_id=model.aws_conn_id)
    aws = aws or identity(model.aws_conn_id)
    bucket = aws.resolve(model.source.bucket)
    key = image_names.build_key(model.prefix, revision.revision_id, image_names.SOURCE_FILE)
    data = _read(s3, revision, bucket, key, max_bytes)
    archive = read_source(data, bounds)
    bases = check_dockerfile(archive.dockerfile, bounds)
    digest = hashlib.sha256(data).hexdigest()
    version_id = _keep(s3, bucket, key, data, digest, max_bytes)
    uploader = s3.uploader(revision.bucket, revision.key, revision.version_id) or ""
    log.info("%d files from %s; SHA-256 %s", archive.files, ", ".join(bases), digest)
    return CheckedSource(
        prefix=model.prefix,
        revision=revision,
        digest=digest,
        bucket=bucket,
        key=key,
        version_id=version_id,
        base_images=tuple(bases),
        files=archive.files,
        uploader=uploader,
    )


def _read(s3: SourceStore, revision: Revision, bucket: str, key: str, max_bytes: int) -> bytes:
    """Read the pinned version, or this run's copy if the version was deleted after an earlier attempt."""
    try:
        return s3.read_version(revision.bucket, revision.key, revision.version_id, max_bytes=max_bytes)
    except PermanentError:
        if s3.head(bucket, key) is None:
            raise
        return s3.read_version(bucket, key, max_bytes=max_bytes)


def _keep(s3: SourceStore, bucket: str, key: str, data: bytes, digest: str, max_bytes: int) -> str:
    """Write the copy unless it is there, and return its version: what is built is what was checked."""
    if not s3.put_if_absent(bucket, key, data, content_type="application/zip"):
        kept = s3.read_version(bucket, key, max_bytes=max_bytes)
        if hashlib.sha256(kept).hexdigest() != digest:
            raise NameConflict(
                "The copy of the image's source is another zip",
                resource=uri(bucket, key),
                why=f"its SHA-256 is {hashlib.sha256(kept).hexdigest()}, that of the upload is {digest}",
                fix="find out who wrote it, and upload the source again: a new version gets a copy of its own",
            )
    found = s3.head(bucket, key)
    if found is None:
        raise PermanentError(
            "The copy of the image's source has gone",
            resource=uri(bucket, key),
            why="it was written, and S3 no longer has it",
            fix="find out who deleted it, then clear this task",
        )
    return str(found["VersionId"])
