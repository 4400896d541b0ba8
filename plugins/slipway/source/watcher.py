"""Waiting for uploads: a doorbell for all models of a bucket, and the wait of one release for its object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

from slipway.aws.identity import resolve
from slipway.aws.patience import without_patience
from slipway.aws.s3 import S3Hook
from slipway.errors import PermanentError
from slipway.source.notification_queue import NotificationQueue
from slipway.source.uploads import STATE_KEY, IntakeState, list_prefixes, version_key
from slipway.source.versions import ObjectVersion, list_versions_async
from slipway.waiting.watcher import Look, WatcherTrigger

# Between two listings while a queue tells of uploads; the listing then only finds what the queue has lost.
POLL_BESIDE_QUEUE_SECONDS = 30.0


class UploadWatcherTrigger(WatcherTrigger):
    """Rings while a bucket holds an uploaded version that the intake has not committed.

    The event only says that it is worth looking: the intake lists again by itself. So an event that is lost, merged
    with another or sent twice changes nothing, and an upload made while nobody watched is found at the next poll.

    :param bucket: bucket name; may contain {region} and {account}
    :param keys: source keys of all models of the bucket
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param queues: SQS queues that S3 notifies of the bucket's uploads; they shorten the wait and decide nothing
    :param poll_seconds: time between two listings; longer while all queues are listened to and nothing is open
    """

    # A bucket that is made, or comes back, is noticed as soon as an upload is.
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

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        return {"bucket": self.bucket, "keys": self.keys, "queues": self.queues, **super().arguments()}

    async def looks(self) -> AsyncGenerator[Look]:
        """List the bucket without end, and listen to its queues meanwhile."""
        with without_patience():
            bucket = await asyncio.to_thread(resolve, self.bucket, self.aws_conn_id)
        wake = asyncio.Event()
        notices = [self.notices(queue, bucket, wake) for queue in self.queues]
        listening = [asyncio.create_task(queue.listen()) for queue in notices]
        try:
            # One client for as long as it works: making one costs the event loop a good part of a second.
            async with await self.hook().get_async_conn() as client:
                while True:
                    wake.clear()
                    waiting = await self._waiting(client, bucket, notices)
                    keys = None if waiting is None else [version_key(version) for version in waiting]
                    yield keys, {"bucket": bucket, "waiting": len(waiting or ())}
                    await self._pause(wake, notices, quiet=waiting == [])
        finally:
            for task in listening:
                task.cancel()

    def hook(self) -> S3Hook:
        """:returns: the hook whose connection is polled"""
        return S3Hook(aws_conn_id=self.aws_conn_id)

    def notices(self, queue: str, bucket: str, wake: asyncio.Event) -> NotificationQueue:
        """:returns: a queue to listen to"""
        return NotificationQueue(queue, bucket, self.aws_conn_id, wake, self.log)

    async def _pause(self, wake: asyncio.Event, notices: Sequence[NotificationQueue], *, quiet: bool) -> None:
        told = bool(notices) and all(queue.listening and not queue.holds for queue in notices)
        pause_seconds = max(self.poll_seconds, POLL_BESIDE_QUEUE_SECONDS) if told and quiet else self.poll_seconds
        with suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), pause_seconds)

    async def _waiting(
        self, client: Any, bucket: str, notices: Sequence[NotificationQueue]
    ) -> list[ObjectVersion] | None:
        """:returns: the versions that need attention; None before the first intake, and when the state is unreadable"""
        if self.asset_state_store is None:
            raise PermanentError("The watcher has no asset whose state it can read", resource=bucket)
        # The listing first: a version that is committed in between then still is in it.
        listed = await list_versions_async(client, bucket, list_prefixes(self.keys))
        try:
            intake = IntakeState.from_json(await self.asset_state_store.aget(STATE_KEY))
        except ValueError:
            # Rung for, so that the intake fails where people look and says what to do; a log line here is not seen.
            intake = None
        for queue in notices:
            await queue.settle(intake, {version_key(version) for version in listed}, self.keys)
        return None if intake is None else intake.open(listed, self.keys)
