"""An SQS queue with S3's event notifications: it only makes the watcher list the bucket sooner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any

from airflow.providers.amazon.aws.hooks.sqs import SqsHook

from slipway.aws.identity import resolve
from slipway.aws.patience import without_patience
from slipway.aws.sqs import QueueMessage, delete_async, queue_url_async, receive_async
from slipway.errors import AwsError, problem_of
from slipway.source.event_notifications import versions_named
from slipway.source.uploads import VersionKey
from slipway.waiting.results import backoff_seconds

_BACKOFF_BASE_SECONDS = 1.0
# The pause after messages that had all come before: a queue may deliver a message again at once.
_REST_SECONDS = 1.0
# The pause after a long poll that brought nothing, while nothing has happened for some time.
CALM_REST_SECONDS = 40.0
# How many messages that are no notifications are remembered, so that each is logged once.
_UNREAD_MAX = 1000


class NotificationQueue:
    """One queue: wake the watcher for each new notification, and delete it when its uploads have their runs.

    A lost notification does no harm, because the watcher lists anyway. One that comes twice only costs a listing. A
    message that is no notification about the bucket is logged once and stays: another reader may wait for it, and SQS
    moves it to the queue's dead-letter queue, or deletes it after the retention period.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html

    :param queue: name or URL; may contain {region} and {account}
    :param bucket: the bucket whose uploads the notifications name
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param wake: set to make the watcher list at once
    :param log: the watcher's log
    """

    def __init__(
        self, queue: str, bucket: str, aws_conn_id: str | None, wake: asyncio.Event, log: logging.Logger | Any
    ) -> None:
        self.queue = queue
        self.bucket = bucket
        self.aws_conn_id = aws_conn_id
        self.listening = False
        # Set by the watcher while nothing happens: each long poll is a call that costs.
        self.calm = False
        self._wake = wake
        self._log = log
        self._held: dict[str, tuple[QueueMessage, frozenset[VersionKey]]] = {}
        self._unread: dict[str, None] = {}
        self._connection: tuple[Any, str] | None = None

    @property
    def holds(self) -> bool:
        """Whether a notification names an upload that has no run yet."""
        return bool(self._held)

    async def listen(self) -> None:
        """Receive until cancelled. After an error it tries again; until then the watcher lists more often."""
        failures = 0
        while True:
            try:
                with without_patience():
                    name = await asyncio.to_thread(resolve, self.queue, self.aws_conn_id)
                async with await self.hook().get_async_conn() as client:
                    self._connection = (client, await queue_url_async(client, name))
                    while True:
                        messages = await receive_async(*self._connection)
                        new = self._take(messages)
                        self.listening, failures = True, 0
                        if messages and not new:
                            await asyncio.sleep(_REST_SECONDS)
                        elif not messages and self.calm:
                            await asyncio.sleep(CALM_REST_SECONDS)
            except Exception as error:
                # As for the watcher, only cancellation may end it.
                failures += 1
                say = self._log.warning if failures == 1 else self._log.debug
                say("Cannot listen to the queue %s, trying again: %s", self.queue, problem_of(error))
            finally:
                self.listening, self._connection = False, None
            await asyncio.sleep(backoff_seconds(failures, base_seconds=_BACKOFF_BASE_SECONDS))

    @property
    def named(self) -> frozenset[VersionKey]:
        """The versions that the held notifications name."""
        return frozenset(version for _, versions in self._held.values() for version in versions)

    async def settle(self, handled: Collection[VersionKey]) -> None:
        """Delete the notifications that name only versions that are handled.

        :param handled: those that have a run, need none, or wait for their model, as the intake has stored
        """
        await self._delete([message for message, versions in self._held.values() if versions.issubset(handled)])

    def hook(self) -> SqsHook:
        """Return the hook whose connection is used."""
        return SqsHook(aws_conn_id=self.aws_conn_id)

    def _take(self, messages: list[QueueMessage]) -> bool:
        """Hold the notifications among these messages; return whether any message is new."""
        new = False
        for message in messages:
            known = message.message_id in self._held or message.message_id in self._unread
            new = new or not known
            versions = versions_named(message.body, self.bucket)
            if versions is None:
                if not known:
                    self._leave(message)
                continue
            if not known:
                self._wake.set()
            # A message that is received again has a new receipt; the old one no longer deletes it.
            self._held[message.message_id] = (message, versions)
        return new

    def _leave(self, message: QueueMessage) -> None:
        self._log.warning(
            "Left a message in the queue %s that is no event notification of %s: %.500r",
            self.queue,
            self.bucket,
            message.body,
        )
        self._unread[message.message_id] = None
        if len(self._unread) > _UNREAD_MAX:
            del self._unread[next(iter(self._unread))]

    async def _delete(self, messages: list[QueueMessage]) -> None:
        if not messages or self._connection is None:
            return
        try:
            for message_id in await delete_async(*self._connection, messages):
                self._held.pop(message_id, None)
        except AwsError as error:
            self._log.warning("%s; SQS delivers them again", error.problem)
