"""Who uploaded a release's zip: read from S3 each time, not from an XCom, which any DAG's task can write.

A revision's id cannot be forged: it is a hash of bucket, key and version, and the Model Registry has it on the package
that people approve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from slipway import names
from slipway.aws.documents import content_of, reading
from slipway.aws.s3 import uri
from slipway.errors import NotApproved, PermanentError, SlipwayError
from slipway.formats.stored import known
from slipway.model.approval_rules import Rules
from slipway.plan import PinnedImage, ReleasePlan, Revision
from slipway.request.archive import MAX_BYTES

# The member of a revision's document that says which image the release began with.
_IMAGE = "image"


class UploadReader(Protocol):
    """The part of S3 that is needed to find the uploader."""

    def uploader(self, bucket: str, key: str, version_id: str) -> str | None:
        """Return who uploaded a version, or None if the version does not exist."""

    def read_version(self, bucket: str, key: str, version_id: str | None = None, *, max_bytes: int) -> bytes:
        """Return one version of an object."""


def uploader_under(rules: Rules, plan: ReleasePlan, home_bucket: str, s3: UploadReader) -> str | None:
    """Find out who uploaded a zip, if the model file's rules need it.

    :param rules: whether the uploader may approve
    :param plan: the release
    :param home_bucket: the bucket that keeps the model's releases, by the model file
    :param s3: S3, through the model's connection
    :returns: the uploader; None if unknown and the rules do not need it
    :raises NotApproved: if unknown and the rules need it
    :raises slipway.errors.AwsError: when a call fails and the rules need the uploader
    """
    try:
        return uploader_of(plan, home_bucket, s3)
    except SlipwayError:
        if not rules.allow_uploader:
            raise
        return None


def uploader_of(plan: ReleasePlan, home_bucket: str, s3: UploadReader) -> str:
    """Read who uploaded a zip from its pinned version, or from the revision's document if that is deleted.

    :param plan: the release
    :param home_bucket: the bucket that keeps the model's releases, by the model file
    :param s3: S3, through the model's connection
    :returns: the name that S3 has; empty if it has none
    :raises NotApproved: when neither has it
    :raises slipway.errors.AwsError: when a call fails
    """
    revision = plan.revision
    if revision.revision_id != plan.revision_id:
        raise _unknown(plan, f"the release is the revision {plan.revision_id}, but this version is of another")
    found = s3.uploader(revision.bucket, revision.key, revision.version_id)
    return _recorded(plan, home_bucket, s3) if found is None else found


def revision_document(
    revision: Revision, digest: str, s3: UploadReader, image: PinnedImage | None = None
) -> dict[str, Any]:
    """Return what a release stores about its upload, which may be deleted later, and about its image.

    :param revision: the pinned version
    :param digest: SHA-256 of the zip, hexadecimal
    :param s3: S3, through the model's connection
    :param image: the pinned image; None for one that is used by its name
    """
    uploader = s3.uploader(revision.bucket, revision.key, revision.version_id)
    return {
        **revision.to_xcom(),
        "digest": digest,
        "uploader": uploader,
        **({_IMAGE: asdict(image)} if image else {}),
    }


def read_image(document: bytes, resource: str) -> PinnedImage | None:
    """Read which image a release began with from what ``revision_document`` made.

    :param document: its bytes in S3
    :param resource: its S3 URI
    :returns: None where it was used by its name
    :raises UnreadableDocument: when they are no such document
    """
    return image_of(content_of(document, resource), resource)


def image_of(content: Mapping[str, Any], resource: str) -> PinnedImage | None:
    """Read which image a release began with, as `read_image`, from the document's content.

    :param content: the document
    :param resource: its S3 URI
    :raises UnreadableDocument: when it is no such document
    """
    with reading(resource):
        return known(PinnedImage, content[_IMAGE]) if content.get(_IMAGE) else None


def read_revision(document: bytes, resource: str) -> Revision:
    """Read the revision from what ``revision_document`` made.

    :param document: its bytes in S3
    :param resource: its S3 URI
    :raises UnreadableDocument: when they are no such document
    """
    content = content_of(document, resource)
    with reading(resource):
        return Revision.from_xcom(content)


def _recorded(plan: ReleasePlan, home_bucket: str, s3: UploadReader) -> str:
    key = names.revision_key(plan.prefix, plan.revision_id)
    try:
        document = s3.read_version(home_bucket, key, max_bytes=MAX_BYTES)
        written = content_of(document, uri(home_bucket, key))
        uploader = written.get("uploader") if written.get("digest") == plan.digest else None
        same = read_revision(document, uri(home_bucket, key)).revision_id == plan.revision_id
    except PermanentError as error:
        raise _unknown(plan, f"S3 no longer has this version, and {uri(home_bucket, key)} cannot be read") from error
    if not same or not isinstance(uploader, str):
        raise _unknown(plan, f"S3 no longer has this version, and {uri(home_bucket, key)} is not about this zip")
    return uploader


def _unknown(plan: ReleasePlan, why: str) -> NotApproved:
    revision = plan.revision
    return NotApproved(
        "It is unknown who uploaded this model, and its model file does not let an uploader approve",
        resource=uri(revision.bucket, revision.key, revision.version_id),
        why=why,
        fix="upload the zip again, which starts a new release",
    )
