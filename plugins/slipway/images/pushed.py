"""Which image a source has given: not every one that has its tag, for more than one build may push to a repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from slipway.aws.documents import Document, Documents, reading
from slipway.aws.ecr import PushedImage
from slipway.aws.s3 import uri
from slipway.errors import BuildFailed
from slipway.formats.stored import known, versioned
from slipway.images.checked import CheckedSource
from slipway.images.note import BuildStatus

_BUILT = "built.json"


class Tags(Protocol):
    """The part of ECR that is needed to find an image."""

    def tagged_image(self, repository: str, tag: str) -> PushedImage | None:
        """Return the image of a tag; None where the repository has no such tag."""


@dataclass(frozen=True)
class _Built:
    """Which image a build of these bytes has given.

    :param digest: of the image's manifest, with ``sha256:``
    :param build_id: CodeBuild's
    """

    digest: str
    build_id: str


class SourceImage:
    """The image of one source: the one that a build of Slipway's has pushed under the source's tag.

    What a Dockerfile runs may push, too, as may people: an image that was there before its source was built is not the
    source's. So the digest is noted, by the source's bytes, when a build has ended.

    :param ecr: ECR
    :param documents: S3
    :param repository: the repository's name
    :param source: what was checked
    """

    def __init__(self, ecr: Tags, documents: Documents, repository: str, source: CheckedSource) -> None:
        self._ecr, self._documents, self._repository, self._source = ecr, documents, repository, source
        self._key = source.shared_key_of(_BUILT)

    def known(self) -> PushedImage | None:
        """Return the image if a build has given it; None where there is none, or nobody knows where it comes from.

        :raises slipway.errors.AwsError: when a call fails
        """
        image = self._tagged()
        built = self._noted()[0] if image else None
        return image if image and built and built.digest == image.digest else None

    def of_build(self, build: Mapping[str, Any]) -> PushedImage | None:
        """Return what a build that has ended has pushed, whatever became of it, and note that; None where it has not.

        :param build: as CodeBuild describes it
        :raises BuildFailed: when the image of the tag is not the build's
        :raises slipway.errors.AwsError: when a call fails
        """
        image = self._tagged()
        began = build["startTime"].replace(microsecond=0)
        while image:
            built, document = self._noted()
            if built and built.digest == image.digest:
                return image
            if built and built.build_id == build["id"]:
                raise self._foreign(image, f"the build {built.build_id} has pushed {built.digest}")
            # Tags cannot be moved: a build has succeeded only if the tag is its own image's.
            if build["buildStatus"] != BuildStatus.SUCCEEDED and image.pushed_at < began:
                raise self._foreign(image, f"the build {build['id']} began at {began:%Y-%m-%d %H:%M:%S}")
            # What an earlier build had given is gone, or there was none.
            noted = versioned(asdict(_Built(image.digest, build["id"])))
            if self._documents.write(self._source.bucket, self._key, noted, etag=document.etag):
                return image
        return None

    def lost(self, build: Mapping[str, Any]) -> BuildFailed | None:
        """Return the error for a build whose image was there and has gone; None for any other.

        :param build: as CodeBuild describes it
        :raises slipway.errors.AwsError: when a call fails
        """
        built, _ = self._noted()
        if built is None or built.build_id != build["id"]:
            return None
        return BuildFailed(
            "The image of the build has gone",
            resource=f"{self._repository}:{self._source.tag}",
            why=f"{build['id']} has pushed {built.digest}, and the repository no longer has it",
            fix="trigger a run with New attempt, which builds the source again, or push the same image again and clear "
            "this task",
        )

    def _noted(self) -> tuple[_Built | None, Document]:
        document = self._documents.read(self._source.bucket, self._key)
        if document.content is None:
            return None, document
        with reading(uri(self._source.bucket, self._key)):
            return known(_Built, document.content), document

    def _tagged(self) -> PushedImage | None:
        return self._ecr.tagged_image(self._repository, self._source.tag)

    def _foreign(self, image: PushedImage, why: str) -> BuildFailed:
        return BuildFailed(
            "The tag of the source has an image that its build has not pushed",
            resource=f"{self._repository}:{self._source.tag}",
            why=f"{image.digest} was pushed at {image.pushed_at:%Y-%m-%d %H:%M:%S}, and {why}",
            fix="find out who pushed it. If no release needs it, remove it: aws ecr batch-delete-image "
            f"--repository-name {self._repository} --image-ids imageTag={self._source.tag}; then upload the source "
            "again, or trigger a run with New attempt",
        )
