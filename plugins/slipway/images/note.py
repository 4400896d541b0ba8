"""The note about the build of a source: a document that says which build it is, and which task waits for it.

CodeBuild's builds have no names that a caller gives and no tags. So the note is written before StartBuild: an attempt
that comes later knows since when there can be a build, finds it by its mark, and starts none. Uploads of the same bytes
share the note, so that those of one moment share the build.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from slipway.aws.codebuild import CodeBuildHook
from slipway.aws.documents import Document, S3Documents, reading
from slipway.aws.s3 import uri
from slipway.formats.stored import known, versioned
from slipway.images.checked import CheckedSource
from slipway.training.owner import JobOwner

NOTE = "build.json"
# The environment variable of a build that says which build of which source it is.
MARK = "SLIPWAY_BUILD"
# How many builds a source may have: one, and those after a failure of CodeBuild's own or after a cleared task.
_MAX_FAULTS = 3
_MAX_BUILDS = 20


class BuildStatus(StrEnum):
    """The states of a build. https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html"""

    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    FAULT = "FAULT"
    STOPPED = "STOPPED"
    TIMED_OUT = "TIMED_OUT"


@dataclass(frozen=True)
class BuildNote:
    """What is known of the build of a source.

    :param tag: of the image, which follows from the source's bytes
    :param number: which build of these bytes this is, from 1
    :param first: the first of the builds that follow each other without another upload
    :param since: before this moment there was no such build; ISO 8601, UTC
    :param owner: the task that waits for it
    :param key: of the copy that is built
    :param version_id: of the copy
    :param upload: the version of the upload that was copied
    :param revisions: the uploads that wait for this build, or have waited for it
    :param build_id: CodeBuild's; None until an attempt has noted it
    :param stopped: whether Airflow stops it with its task, so that the task builds again when it is cleared
    """

    tag: str
    number: int
    first: int
    since: str
    owner: JobOwner
    key: str
    version_id: str
    upload: str
    revisions: tuple[str, ...]
    build_id: str | None = None
    stopped: bool = False

    @classmethod
    def begin(cls, source: CheckedSource, owner: JobOwner, before: Self | None = None) -> Self:
        """Make the note of a build that is about to be started.

        :param source: what is built
        :param owner: the task that is to wait for it
        :param before: the last build of these bytes
        """
        number = before.number + 1 if before else 1
        follows = before is not None and before.is_for(source)
        return cls(
            tag=source.tag,
            number=number,
            first=before.first if before and follows else number,
            since=datetime.now(UTC).isoformat(),
            owner=owner,
            key=source.key,
            version_id=source.version_id,
            upload=source.revision.version_id,
            revisions=before.revisions if before and follows else (source.revision.revision_id,),
        )

    @property
    def mark(self) -> str:
        """What the build is found by; also the token by which CodeBuild knows a repeated StartBuild."""
        return f"{self.tag}-{self.number}"

    def is_for(self, source: CheckedSource) -> bool:
        """Tell whether an upload waits for this build, or has: then how it ended is how the upload's build ended."""
        return source.revision.revision_id in self.revisions

    def awaited(self, source: CheckedSource, owner: JobOwner, build_id: str) -> Self:
        """Return the note of a build that this task waits for.

        :param source: the task's
        :param owner: the task
        :param build_id: CodeBuild's
        """
        more = () if self.is_for(source) else (source.revision.revision_id,)
        return replace(self, build_id=build_id, owner=owner, revisions=(*self.revisions, *more))

    def why_another(self, source: CheckedSource, status: BuildStatus) -> str | None:
        """Say why another build must be tried after this one has left no image; None where its end is the source's.

        :param source: what is built
        :param status: how this build has ended
        """
        if not self.is_for(source):
            return "was built for an earlier upload of the same bytes, and there is no image"
        if status is BuildStatus.FAULT and self.number - self.first + 1 < _MAX_FAULTS:
            return "failed, which is not its own fault"
        if status is BuildStatus.STOPPED and self.stopped and self.number - self.first + 1 < _MAX_BUILDS:
            return "was stopped when its task was failed or cleared"
        return None


def mark_of(build: Mapping[str, Any]) -> str | None:
    """Return the mark of a build; None for one that Slipway has not started."""
    variables = build.get("environment", {}).get("environmentVariables", ())
    return next((one["value"] for one in variables if one["name"] == MARK), None)


def home_of(mark: str) -> str:
    """Return the name of the folder in which the note of a mark lies."""
    return mark.rpartition("-")[0]


class NoteStore:
    """The note of one source's bytes.

    :param documents: S3
    :param bucket: the bucket of the model's releases
    :param key: the note's key
    """

    def __init__(self, documents: S3Documents, bucket: str, key: str) -> None:
        self._documents, self._bucket, self._key = documents, bucket, key

    def read(self) -> tuple[BuildNote | None, Document]:
        """Read the note.

        :returns: None before the first build; and the document, for `write`
        :raises slipway.errors.UnreadableDocument: when it is no note
        :raises slipway.errors.AwsError: when the call fails
        """
        document = self._documents.read(self._bucket, self._key)
        if document.content is None:
            return None, document
        with reading(uri(self._bucket, self._key)):
            return known(BuildNote, document.content), document

    def write(self, note: BuildNote, before: Document) -> bool:
        """Write the note unless it has changed since it was read.

        :param note: the new content
        :param before: what was read
        :returns: False if it has changed
        :raises slipway.errors.AwsError: when the call fails
        """
        return self._documents.write(self._bucket, self._key, versioned(asdict(note)), etag=before.etag)


def stop_and_note(
    codebuild: CodeBuildHook, notes: NoteStore, build_id: str, mark: str | None, owner: JobOwner | None
) -> bool:
    """Stop a running build, and note that Airflow has, so that its task builds again when it is cleared.

    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StopBuild.html

    :param codebuild: CodeBuild
    :param notes: the note of its source
    :param build_id: the build
    :param mark: its mark, which tells it from a later build of the source; None where the note has its id
    :param owner: the expected owner; a build that another run has adopted is not stopped
    :returns: whether it was running and was stopped
    :raises slipway.errors.AwsError: when a call fails
    """
    if not any(build["buildStatus"] == BuildStatus.IN_PROGRESS for build in codebuild.builds([build_id])):
        return False
    while True:
        note, document = notes.read()
        if note is None or (build_id != note.build_id and mark != note.mark):
            # A later build of the source has its note; this one counts for nothing any more.
            break
        if owner and note.owner != owner:
            return False
        if note.stopped or notes.write(replace(note, build_id=build_id, stopped=True), document):
            break
    return codebuild.stop_build(build_id)
