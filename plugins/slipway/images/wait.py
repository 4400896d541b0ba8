"""The waits of an image's build: for the build itself, whose log it follows, and for the scan of what it has pushed."""

from __future__ import annotations

from typing import Any, cast

from slipway.aws.codebuild import CodeBuildHook
from slipway.aws.documents import S3Documents
from slipway.aws.ecr import EcrHook
from slipway.aws.logs import LogTail
from slipway.aws.patience import without_patience
from slipway.formats.stored import known
from slipway.images.note import NoteStore, stop_and_note
from slipway.training.owner import JobOwner
from slipway.waiting.followed import FollowedWorkTrigger
from slipway.waiting.waiter import PatientWaiterTrigger


class BuildTrigger(FollowedWorkTrigger):
    """Wait until a build has ended, and copy its log into the task's log.

    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BatchGetBuilds.html

    :param build_id: the build
    :param note: bucket and key of the note about it
    :param owner: the task that waits, as JobOwner.to_json gives it; a build with another owner is not stopped
    :param deadline: when to give up, in seconds since the epoch
    :param poll_seconds: time between two polls
    """

    aws_hook_class = CodeBuildHook
    work = short_work = "build"

    def __init__(
        self,
        *,
        build_id: str,
        note: list[str],
        owner: dict[str, str],
        deadline: float,
        poll_seconds: float,
        **connection: Any,
    ) -> None:
        super().__init__(
            work_id=build_id,
            serialized_fields={"build_id": build_id, "note": note, "owner": owner},
            waiter_name="BuildEnded",
            waiter_args={"ids": [build_id]},
            status_query="builds[0].buildStatus",
            reason_query="builds[0].currentPhase",
            deadline=deadline,
            poll_seconds=poll_seconds,
            **connection,
        )
        self.build_id = build_id
        self.note = note
        self.owner = known(JobOwner, owner)
        # A restarted triggerer makes a new trigger, which reads the log from the start again.
        self._tail: LogTail | None = None

    async def observe(self, response: dict[str, Any]) -> None:
        """Copy the new lines of the build's log.

        :param response: the response of BatchGetBuilds
        """
        place = next((build.get("logs") or {} for build in response.get("builds", ())), {})
        if not (place.get("groupName") and place.get("streamName")):
            return
        self._tail = self._tail or LogTail(self.build_id, {place["streamName"]: ""}, place["groupName"])
        await self.copy_log(self._tail, stream_count=1)

    def _stop(self) -> None:
        # The triggerer has one thread for this, for all triggers. The reaper stops what this cannot.
        with without_patience():
            notes = NoteStore(S3Documents(aws_conn_id=self.aws_conn_id), *self.note)
            stop_and_note(cast("CodeBuildHook", self.hook()), notes, self.build_id, None, self.owner)


class ScanTrigger(PatientWaiterTrigger):
    """Wait until the scan of an image has ended.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImageScanFindings.html

    :param repository: the repository's name
    :param digest: the image's digest
    :param deadline: when to give up, in seconds since the epoch
    :param poll_seconds: time between two polls
    """

    aws_hook_class = EcrHook

    def __init__(
        self, *, repository: str, digest: str, deadline: float, poll_seconds: float, **connection: Any
    ) -> None:
        super().__init__(
            serialized_fields={"repository": repository, "digest": digest},
            waiter_name="ScanEnded",
            waiter_args={"repositoryName": repository, "imageId": {"imageDigest": digest}, "maxResults": 1},
            status_query="imageScanStatus.status",
            reason_query="imageScanStatus.description",
            deadline=deadline,
            poll_seconds=poll_seconds,
            **connection,
        )
