"""Listening to a queue of S3's notices, which shortens the wait for the next listing and decides nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any

from airflow.providers.amazon.aws.hooks.sqs import SqsHook

from slipway.aws.identity import resolve
from slipway.aws.patience import without_patience
from slipway.aws.sqs import QueueMessage, delete_async, queue_url_async, receive_async
from slipway.errors import AwsError
from slipway.source.event_notifications import is_handled, versions_named
from slipway.source.uploads import IntakeState, VersionKey
from slipway.waiting.results import backoff_seconds

_BACKOFF_BASE_SECONDS = 1.0


class NotificationQueue:
    """One queue: wakes the watcher for each new notice, and deletes a notice when its uploads have their runs.

    A notice that is lost is not missed, because the watcher lists anyway. One that comes twice wakes for nothing.

    :param queue: name or URL; may contain {region} and {account}
    :param bucket: the bucket whose uploads it tells of
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param wake: makes the watcher list at once
    :param log: the watcher's log
    """

    def __init__(
        self, queue: str, bucket: str, aws_conn_id: str | None, wake: asyncio.Event, log: logging.Logger | Any
    ) -> None:
        self.queue = queue
        self.bucket = bucket
        self.aws_conn_id = aws_conn_id
        self.listening = False
        self._wake = wake
        self._log = log
        self._held: dict[str, tuple[QueueMessage, frozenset[VersionKey]]] = {}
        self._connection: tuple[Any, str] | None = None

    @property
    def holds(self) -> bool:
        """Whether notices wait for their uploads to be taken in."""
        return bool(self._held)

    async def listen(self) -> None:
        """Receive until cancelled; what fails is tried again, and the watcher lists more often meanwhile."""
        failures = 0
        while True:
            try:
                with without_patience():
                    name = await asyncio.to_thread(resolve, self.queue, self.aws_conn_id)
                async with await self.hook().get_async_conn() as client:
                    self._connection = (client, await queue_url_async(client, name))
                    while True:
                        await self._take(await receive_async(*self._connection))
                        self.listening, failures = True, 0
            except Exception as error:
                # Nothing but cancellation ends the listening, as nothing else ends the watch.
                failures += 1
                say = self._log.warning if failures == 1 else self._log.debug
                say("Cannot listen to the queue %s, asking again: %s", self.queue, error)
            finally:
                self.listening, self._connection = False, None
            await asyncio.sleep(backoff_seconds(failures, base_seconds=_BACKOFF_BASE_SECONDS))

    async def settle(
        self, intake: IntakeState | None, listed: Collection[VersionKey], known_keys: Collection[str]
    ) -> None:
        """Delete the notices that have served.

        :param intake: what is committed; None before the first intake
        :param listed: what S3 lists now
        :param known_keys: source keys of the models
        """
        await self._delete(
            [message for message, versions in self._held.values() if is_handled(versions, intake, listed, known_keys)]
        )

    def hook(self) -> SqsHook:
        """:returns: the hook whose connection is used"""
        return SqsHook(aws_conn_id=self.aws_conn_id)

    async def _take(self, messages: list[QueueMessage]) -> None:
        strange = []
        for message in messages:
            versions = versions_named(message.body, self.bucket)
            if versions is None:
                self._log.warning("Not a notice about %s, deleted: %.500r", self.bucket, message.body)
                strange.append(message)
                continue
            if message.message_id not in self._held:
                self._wake.set()
            # Received again it has another receipt, and the former one deletes it no longer.
            self._held[message.message_id] = (message, versions)
        await self._delete(strange)

    async def _delete(self, messages: list[QueueMessage]) -> None:
        if not messages or self._connection is None:
            return
        try:
            for message_id in await delete_async(*self._connection, messages):
                self._held.pop(message_id, None)
        except AwsError as error:
            self._log.warning("%s; they come again", error)
