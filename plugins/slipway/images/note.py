"""The note about the build of a source: a document that says which build it is, and which task waits for it.

CodeBuild's builds have no names that a caller gives and no tags. So the note is written before StartBuild: an attempt
that comes later knows since when there can be a build, finds it by its mark, and starts none.
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
from slipway.training.owner import JobOwner

NOTE = "build.json"
# The environment variable of a build that says which build of which source it is.
MARK = "SLIPWAY_BUILD"


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

    :param revision: the id of the source's revision
    :param number: which build of it this is, from 1
    :param since: before this moment there was no such build; ISO 8601, UTC
    :param owner: the task that waits for it
    :param build_id: CodeBuild's; None until an attempt has noted it
    :param stopped: whether Airflow stops it with its task, so that the task builds again when it is cleared
    """

    revision: str
    number: int
    since: str
    owner: JobOwner
    build_id: str | None = None
    stopped: bool = False

    @classmethod
    def begin(cls, revision: str, number: int, owner: JobOwner) -> Self:
        """Make the note of a build that is about to be started."""
        return cls(revision, number, datetime.now(UTC).isoformat(), owner)

    @property
    def mark(self) -> str:
        """What the build is found by; also the token by which CodeBuild knows a repeated StartBuild."""
        return f"{self.revision}-{self.number}"


def mark_of(build: Mapping[str, Any]) -> str | None:
    """Return the mark of a build; None for one that Slipway has not started."""
    variables = build.get("environment", {}).get("environmentVariables", ())
    return next((one["value"] for one in variables if one["name"] == MARK), None)


def revision_of(mark: str) -> str:
    """Return the revision in a mark."""
    return mark.rpartition("-")[0]


class NoteStore:
    """The note of one source.

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
