"""The watcher of a bucket's uploads, for all its models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import suppress
from typing import Any

from slipway.aws.identity import resolve
from slipway.aws.patience import without_patience
from slipway.aws.s3 import S3Hook
from slipway.errors import PermanentError
from slipway.source.bucket_view import BucketView
from slipway.source.notification_queue import NotificationQueue
from slipway.source.uploads import STATE_KEY
from slipway.waiting.watcher import Look, WatcherTrigger

# Nothing has been uploaded for so long: the watcher looks less often.
CALM_AFTER_SECONDS = 600.0
CALM_POLL_SECONDS = 6.0
# Between two listings while a queue reports uploads: the listing then only finds what the queue has lost.
POLL_BESIDE_QUEUE_SECONDS = 30.0
CALM_POLL_BESIDE_QUEUE_SECONDS = 300.0


class UploadWatcherTrigger(WatcherTrigger):
    """Emit an event while a bucket has an uploaded version that the intake has not stored as done.

    An upload that was made while no watcher ran is found by the next listing.

    :param bucket: bucket name; may contain {region} and {account}
    :param keys: source keys of all models of the bucket
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param queues: SQS queues that S3 notifies of the bucket's uploads; they only shorten the wait
    :param poll_seconds: time between two listings; longer while nothing is uploaded, or a queue would say so
    """

    # Short, so that a bucket that is created, or is reachable again, is noticed soon.
    backoff_limit_seconds = 5.0

    def __init__(
        self,
        *,
        bucket: str,
        keys: Sequence[str],
        queues: Sequence[str] = (),
        aws_conn_id: str | None = "aws_default",
        poll_seconds: float = 3.0,
    ) -> None:
        super().__init__(aws_conn_id=aws_conn_id, poll_seconds=poll_seconds)
        self.bucket = self.watched = bucket
        self.keys = sorted(keys)
        self.queues = sorted(queues)
        self._busy_at = time.monotonic()

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        return {"bucket": self.bucket, "keys": self.keys, "queues": self.queues, **super().arguments()}

    async def looks(self) -> AsyncGenerator[Look]:
        """List the bucket again and again, and receive from its queues at the same time."""
        with without_patience():
            bucket = await asyncio.to_thread(resolve, self.bucket, self.aws_conn_id)
        wake = asyncio.Event()
        queues = [self.notification_queue(queue, bucket, wake) for queue in self.queues]
        listening = [asyncio.create_task(queue.listen()) for queue in queues]
        try:
            # One client for as long as it works: a new one takes the event loop most of a second.
            async with await self.hook().get_async_conn() as client:
                view = BucketView(client, bucket, self.keys)
                while True:
                    wake.clear()
                    waiting = await self._waiting(view, queues)
                    yield waiting, {"bucket": bucket, "waiting": len(waiting or ())}
                    if waiting != frozenset():
                        self._busy_at = time.monotonic()
                    await self._pause(wake, queues, quiet=waiting == frozenset())
        finally:
            for task in listening:
                task.cancel()

    def hook(self) -> S3Hook:
        """Return the hook that lists the bucket."""
        return S3Hook(aws_conn_id=self.aws_conn_id)

    def notification_queue(self, queue: str, bucket: str, wake: asyncio.Event) -> NotificationQueue:
        """Return a queue to receive from."""
        return NotificationQueue(queue, bucket, self.aws_conn_id, wake, self.log)

    async def _pause(self, wake: asyncio.Event, queues: Sequence[NotificationQueue], *, quiet: bool) -> None:
        calm = time.monotonic() - self._busy_at >= CALM_AFTER_SECONDS
        for queue in queues:
            queue.calm = calm
        told = bool(queues) and all(queue.listening and not queue.holds for queue in queues)
        pause_seconds = self.poll_seconds
        if told and quiet:
            pause_seconds = max(pause_seconds, CALM_POLL_BESIDE_QUEUE_SECONDS if calm else POLL_BESIDE_QUEUE_SECONDS)
        elif calm:
            pause_seconds = max(pause_seconds, CALM_POLL_SECONDS)
        with suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), pause_seconds)

    async def _waiting(self, view: BucketView, queues: Sequence[NotificationQueue]) -> frozenset[Hashable] | None:
        """Return what needs attention, or None before the first intake and when the state is unreadable."""
        if self.asset_state_store is None:
            raise PermanentError(
                "The watcher has no asset to read the state of",
                resource=self.bucket,
                why="its trigger does not run in an AssetWatcher",
                fix="give the trigger to an AssetWatcher of the intake's asset in the DAG file",
            )
        # List first: a version that the intake handles in between is then in both.
        await view.refresh()
        try:
            intake = view.intake(await self.asset_state_store.aget(STATE_KEY))
        except ValueError:
            # The event starts the intake, which fails and says what to do; nobody would see a log line here.
            intake = None
        named = frozenset(version for queue in queues for version in queue.named)
        judged = await view.judge(intake, named)
        for queue in queues:
            await queue.settle(judged.handled)
        return None if intake is None else judged.waiting
