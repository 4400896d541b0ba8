"""Builds that no task waits for any more: the search for them, and the watcher that has them stopped."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway import image_names
from slipway.aws.codebuild import CodeBuildHook
from slipway.aws.documents import S3Documents
from slipway.aws.identity import resolve
from slipway.errors import UnreadableDocument
from slipway.images.note import NOTE, BuildNote, BuildStatus, NoteStore, home_of, mark_of
from slipway.training.orphans import OrphanedWorkTrigger
from slipway.training.owner import AirflowTasks, TaskStates, waits

log = logging.getLogger(__name__)

# The first search finds what was started while no watcher ran; the later ones, what was started since.
_FIRST_PAGES = 5


@dataclass(frozen=True)
class OrphanedBuild:
    """A running build whose task has ended."""

    build_id: str
    mark: str
    note: BuildNote
    notes: NoteStore


class BuildSearch:
    """Find this Airflow's running builds that no task waits for.

    One List call of the account's newest builds, one Get call while any of ours runs, and the note of each.

    :param codebuild: CodeBuild
    :param documents: S3
    :param buckets: the bucket of each model that builds an image, by its prefix
    :param tasks: the states of tasks and runs
    """

    def __init__(
        self, codebuild: CodeBuildHook, documents: S3Documents, buckets: Mapping[str, str], tasks: TaskStates
    ) -> None:
        self._codebuild, self._documents, self._tasks = codebuild, documents, tasks
        self._buckets = buckets
        self._ended: set[str] = set()
        self._running: set[str] = set()
        self._pages = _FIRST_PAGES

    @property
    def watches_any(self) -> bool:
        """Tell whether the last search has found builds that run."""
        return bool(self._running)

    def find(self, airflow: str | None) -> list[OrphanedBuild]:
        """Search once.

        :param airflow: this Airflow's id; None finds nothing
        :raises slipway.errors.AwsError: when a call fails
        """
        if airflow is None:
            return []
        listed = {one for one in self._codebuild.newest_ids(self._pages) if self._is_ours(one)}
        self._pages = 1
        # What has left the listing has ended, or is among those that run.
        self._ended &= listed
        wanted = sorted((listed - self._ended) | self._running)
        builds = self._codebuild.builds(wanted) if wanted else []
        running = [build for build in builds if build["buildStatus"] == BuildStatus.IN_PROGRESS]
        self._running = {build["id"] for build in running}
        self._ended |= listed - self._running
        return [orphan for build in running if (orphan := self._orphaned(build, airflow))]

    def _is_ours(self, build_id: str) -> bool:
        return image_names.prefix_of_build(build_id) in self._buckets

    def _orphaned(self, build: Mapping[str, Any], airflow: str) -> OrphanedBuild | None:
        prefix, mark = image_names.prefix_of_build(build["id"]), mark_of(build)
        if prefix is None or mark is None:
            return None
        key = image_names.build_key(prefix, home_of(mark), NOTE)
        notes = NoteStore(self._documents, self._buckets[prefix], key)
        try:
            note, _ = notes.read()
        except UnreadableDocument as error:
            # The builds of the other models must be stopped all the same.
            log.warning("%s. The build %s is left alone", error.problem, build["id"])
            return None
        if note is None or note.owner.airflow != airflow or waits(note.owner, self._tasks):
            return None
        return OrphanedBuild(build["id"], mark, note, notes)


def build_search(buckets: Mapping[str, str], aws_conn_id: str | None) -> BuildSearch:
    """Return a search with new clients.

    :param buckets: the bucket of each model by its prefix; may contain {region} and {account}
    :param aws_conn_id: Airflow connection with the AWS credentials
    """
    places = {prefix: resolve(bucket, aws_conn_id) for prefix, bucket in buckets.items()}
    hook, documents = CodeBuildHook(aws_conn_id=aws_conn_id), S3Documents(aws_conn_id=aws_conn_id)
    return BuildSearch(hook, documents, places, AirflowTasks())


class BuildWatcherTrigger(OrphanedWorkTrigger):
    """Emit an event while a build of this Airflow runs that no task waits for.

    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ListBuilds.html

    :param buckets: the bucket of each model that builds an image, by its prefix
    """

    watched = "the builds of images"

    def __init__(self, *, buckets: dict[str, str], **watcher: Any) -> None:
        super().__init__(**watcher)
        self.buckets = dict(sorted(buckets.items()))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        return {"buckets": self.buckets, **super().arguments()}

    def search(self) -> BuildSearch:
        """Return a search with new clients."""
        return build_search(self.buckets, self.aws_conn_id)

    def name_of(self, orphan: OrphanedBuild) -> str:
        """Return the build's id."""
        return orphan.build_id
