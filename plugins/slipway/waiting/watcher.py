"""The base of asset watchers: triggers that start a DAG while something needs attention."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Hashable
from contextlib import aclosing
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from slipway.errors import problem_of
from slipway.waiting.pacing import EventPacing
from slipway.waiting.results import BACKOFF_LIMIT_SECONDS, backoff_seconds

# What needs attention, None for what cannot be told yet; and what the event says.
Look = tuple[Collection[Hashable] | None, dict[str, Any]]


class WatcherTrigger(BaseEventTrigger):
    """Emit an event for what needs attention, and again from time to time until it is handled; never ends.

    The event only starts the DAG, which looks again by itself. So an event that is lost, merged with another or sent
    twice changes nothing.

    :param aws_conn_id: Airflow connection with the AWS credentials
    :param poll_seconds: time between two looks
    """

    # What is watched, for the log.
    watched: str
    backoff_limit_seconds = BACKOFF_LIMIT_SECONDS

    def __init__(self, *, aws_conn_id: str | None, poll_seconds: float) -> None:
        super().__init__()
        self.aws_conn_id = aws_conn_id
        self.poll_seconds = poll_seconds

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again; a subclass adds its own."""
        return {"aws_conn_id": self.aws_conn_id, "poll_seconds": self.poll_seconds}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that build this trigger again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments()

    def looks(self) -> AsyncGenerator[Look]:
        """Look without end, with a pause after each look. After an error it is called again, for a new client."""
        raise NotImplementedError

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Emit the events."""
        failures = 0
        pacing = EventPacing()
        while True:
            try:
                async with aclosing(self.looks()) as looks:
                    async for waiting, payload in looks:
                        failures = 0
                        if pacing.is_due(waiting, time.monotonic()):
                            yield TriggerEvent(payload)
            except Exception as error:
                # Airflow does not start a watcher again that has ended: only cancellation may end it.
                failures += 1
                log = self.log.warning if failures == 1 else self.log.debug
                log("Cannot watch %s, trying again: %s", self.watched, problem_of(error))
                await asyncio.sleep(
                    backoff_seconds(failures, base_seconds=self.poll_seconds, limit_seconds=self.backoff_limit_seconds)
                )
