"""The task ``build``: one CodeBuild build for each version of a source, started once and adopted after any crash."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator

from slipway import image_names
from slipway.aws.clients import client
from slipway.aws.codebuild import CodeBuildHook
from slipway.aws.documents import S3Documents
from slipway.aws.ecr import EcrHook, PushedImage
from slipway.aws.identity import identity
from slipway.aws.links import BuildLink
from slipway.aws.logs import LogsHook
from slipway.aws.patience import without_patience
from slipway.errors import AwsError, BuildFailed
from slipway.formats.image_uri import EcrImage, registry_domain
from slipway.formats.stored import versioned
from slipway.host.task_errors import TaskErrors
from slipway.images.checked import CheckedSource, pull_source
from slipway.images.failure import build_error
from slipway.images.note import MARK, NOTE, BuildNote, BuildStatus, NoteStore, mark_of
from slipway.images.pushed import SourceImage
from slipway.images.wait import BuildTrigger
from slipway.training.owner import JobOwner, ensure_airflow_id
from slipway.waiting.activity import note_activity
from slipway.waiting.results import WaitOutcome, WaitResult

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig
    from slipway.model.image_build import ImageBuild

# How much the clocks of CodeBuild and of a worker may differ.
_CLOCKS = timedelta(minutes=5)
# How long a build may wait for a machine.
# https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
_QUEUED_MINUTES = 30
_MARGIN_SECONDS = 600
_LOG_LINES = 40


@dataclass(frozen=True)
class BuiltImage:
    """What ``build`` passes on.

    :param repository: the repository's name
    :param uri: of the repository, with the registry
    :param digest: of the image's manifest, with ``sha256:``
    :param tag: which its source has given it
    :param pushed_at: ISO 8601
    :param size_bytes: of its layers, compressed
    :param build_id: CodeBuild's; None where an earlier source of the same bytes was built
    :param packages: S3 URI of the list of its Python packages
    """

    repository: str
    uri: str
    digest: str
    tag: str
    pushed_at: str
    size_bytes: int
    build_id: str | None
    packages: str

    def to_xcom(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned(asdict(self))


class BuildImageOperator(TaskErrors, BaseOperator):
    """Start the build of a checked source, or adopt the one of an earlier attempt, and wait for it without a slot.

    Where a build has given an image of these bytes already, that image is the result and nothing is built.
    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html

    :param model: the model file
    :param repository: the repository's name
    :param bounds: what the model file lets a build do
    """

    template_fields = ()
    operator_extra_links = (BuildLink(),)
    codebuild = client(CodeBuildHook)
    ecr = client(EcrHook)
    documents = client(S3Documents)
    logs = client(LogsHook)

    def __init__(self, *, model: ModelConfig, repository: str, bounds: ImageBuild, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.repository = repository
        self.bounds = bounds
        self.aws_conn_id = model.aws_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Build the image, unless it exists, and wait for it.

        :param context: the task's Airflow context
        :returns: a BuiltImage
        :raises slipway.errors.BuildFailed: when the build ended without an image, with its reason and last log lines
        """
        note_activity()
        return self._build(context)

    def resume(self, context: Context, event: dict[str, Any] | None) -> dict[str, Any]:
        """Continue when the build has ended or its deadline has passed.

        :param context: the task's Airflow context
        :param event: how the wait ended
        :returns: as execute
        """
        result = WaitResult.from_event(event)
        if result.outcome is WaitOutcome.REFUSED:
            raise result.refused("Cannot watch the build", image_names.project(self.model.prefix))
        return self._build(context)

    def _build(self, context: Context) -> dict[str, Any]:
        source, owner = pull_source(context), self._owner(context)
        notes = NoteStore(self.documents, source.bucket, source.shared_key_of(NOTE))
        pushed = SourceImage(self.ecr, self.documents, self.repository, source)
        while True:
            if image := pushed.known():
                return self._result(source, image, notes)
            note, build = self._noted_build(source, notes, owner)
            BuildLink.keep_for(
                build["arn"], self, self.aws_conn_id, build_id=note.build_id, project=build["projectName"]
            )
            status = BuildStatus(build["buildStatus"])
            if status is BuildStatus.IN_PROGRESS:
                self._wait(source, build, owner)
            # An image that was pushed since the look above counts, whatever became of the build.
            if image := pushed.of_build(build):
                return self._result(source, image, notes)
            why = note.why_another(source, status)
            if why is None:
                raise pushed.lost(build) or build_error(status, build, self._last_lines(build))
            self.log.warning("%s %s. Building again", build["id"], why)
            self._begin(source, notes, owner, note)

    def _owner(self, context: Context) -> JobOwner:
        dag_run = context["dag_run"]
        return JobOwner(ensure_airflow_id(), dag_run.dag_id, self.task_id, dag_run.run_id)

    def _noted_build(
        self, source: CheckedSource, notes: NoteStore, owner: JobOwner
    ) -> tuple[BuildNote, Mapping[str, Any]]:
        """Return the build that the note names, with this task as its owner; start it if there is none."""
        fresh = False
        while True:
            note, document = notes.read()
            if note is None:
                fresh = self._begin(source, notes, owner)
                continue
            if note.build_id is None:
                build = (None if fresh else self._find(note)) or self.codebuild.start_build(
                    self._parameters(source, note)
                )
                self.log.info("The build %s makes %s:%s", build["id"], self.repository, source.tag)
            elif (found := self._described(source, note)) is None:
                fresh = self._begin(source, notes, owner, note)
                continue
            elif found["buildStatus"] != BuildStatus.IN_PROGRESS:
                return note, found
            else:
                build = found
            noted = note.awaited(source, owner, build["id"])
            if noted == note or notes.write(noted, document):
                return noted, build

    def _begin(self, source: CheckedSource, notes: NoteStore, owner: JobOwner, before: BuildNote | None = None) -> bool:
        """Note that a build is about to be started; False where another attempt was faster."""
        wanted = BuildNote.begin(source, owner, before)
        note, document = notes.read()
        if note is not None and note.number >= wanted.number:
            return False
        return notes.write(wanted, document)

    def _find(self, note: BuildNote) -> dict[str, Any] | None:
        """Look for the build that an attempt has started and not noted."""
        since = datetime.fromisoformat(note.since) - _CLOCKS
        builds = self.codebuild.builds_since(image_names.project(self.model.prefix), since)
        return next((build for build in builds if mark_of(build) == note.mark), None)

    def _described(self, source: CheckedSource, note: BuildNote) -> dict[str, Any] | None:
        """Describe the noted build; None where CodeBuild no longer has it, and it was for an earlier upload."""
        found = self.codebuild.builds([str(note.build_id)])
        if found or not note.is_for(source):
            return found[0] if found else None
        raise BuildFailed(
            "The build has gone",
            resource=note.build_id,
            why="CodeBuild no longer has it, and it has left no image",
            fix="upload the source again: a new version is built anew",
        )

    def _parameters(self, source: CheckedSource, note: BuildNote) -> dict[str, Any]:
        """Return what StartBuild is given. It must not depend on the run: CodeBuild compares repeated requests."""
        uri = self._uri()
        variables = {
            "IMAGE": f"{uri}:{source.tag}",
            "REGISTRY": uri.partition("/")[0],
            "BUILD_ARGUMENTS": " ".join(f"--build-arg {one}" for one in self._arguments()),
            "SLIPWAY_SOURCE_VERSION": note.upload,
            MARK: note.mark,
        }
        path, _, name = self._packages_folder(source).rpartition("/")
        return {
            "projectName": image_names.project(self.model.prefix),
            "sourceTypeOverride": "S3",
            "sourceLocationOverride": f"{source.bucket}/{note.key}",
            "sourceVersion": note.version_id,
            "artifactsOverride": {
                "type": "S3",
                "location": source.bucket,
                "path": path,
                "name": name,
                "namespaceType": "NONE",
                "packaging": "NONE",
                # The bucket's own encryption, so that no reader needs another key.
                "encryptionDisabled": True,
            },
            "environmentVariablesOverride": [
                {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
            ],
            "timeoutInMinutesOverride": self.bounds.timeout_minutes,
            "queuedTimeoutInMinutesOverride": _QUEUED_MINUTES,
            "idempotencyToken": note.mark,
        }

    def _arguments(self) -> list[str]:
        return [f"{name}={value}" for name, value in sorted(self.bounds.arguments.items())]

    def _uri(self) -> str:
        aws = identity(self.aws_conn_id)
        return EcrImage(aws.account, aws.region, registry_domain(aws.partition), self.repository).address

    def _packages_folder(self, source: CheckedSource) -> str:
        return f"{image_names.packages_folder(self.model.prefix)}{source.tag}"

    def _wait(self, source: CheckedSource, build: Mapping[str, Any], owner: JobOwner) -> NoReturn:
        limit_seconds = (self.bounds.timeout_minutes + _QUEUED_MINUTES) * 60 + _MARGIN_SECONDS
        deadline = build["startTime"].timestamp() + limit_seconds
        if time.time() >= deadline:
            self.codebuild.stop_build(build["id"])
            raise BuildFailed(
                f"The build did not end within {limit_seconds} s and was stopped",
                resource=build["id"],
                why=f"it is in the phase {build.get('currentPhase')}",
                fix="look at the build in the CodeBuild console, then upload the source again",
            )
        self.defer(
            trigger=BuildTrigger(
                build_id=build["id"],
                note=[source.bucket, source.shared_key_of(NOTE)],
                owner=owner.to_json(),
                deadline=deadline,
                poll_seconds=self.model.timeouts.poll_seconds,
                aws_conn_id=self.aws_conn_id,
            ),
            method_name="resume",
        )

    def _last_lines(self, build: Mapping[str, Any]) -> list[str]:
        place = build.get("logs") or {}
        if not (place.get("groupName") and place.get("streamName")):
            return []
        try:
            with without_patience():
                return self.logs.last_lines_of_stream(place["groupName"], place["streamName"], _LOG_LINES)
        except AwsError as error:
            return [error.problem]

    def _result(self, source: CheckedSource, image: PushedImage, notes: NoteStore) -> dict[str, Any]:
        note, _ = notes.read()
        built = note is not None and note.is_for(source)
        if not built:
            self.log.info("The repository has an image of these bytes already: nothing is built")
        return BuiltImage(
            repository=self.repository,
            uri=self._uri(),
            digest=image.digest,
            tag=source.tag,
            pushed_at=image.pushed_at.isoformat(),
            size_bytes=image.size_bytes,
            build_id=note.build_id if note and built else None,
            packages=f"s3://{source.bucket}/{self._packages_folder(source)}/{image_names.PACKAGES_FILE}",
        ).to_xcom()
