"""The wait of one release for its upload."""

from __future__ import annotations

import time
from typing import Any

from airflow.triggers.base import TriggerEvent

from slipway.aws.s3 import S3Hook, uri
from slipway.errors import problem_of
from slipway.source.versions import current_object_async
from slipway.waiting.polling import PollingTrigger
from slipway.waiting.results import WaitOutcome, WaitResult


class ObjectExistsTrigger(PollingTrigger):
    """Wait until an object exists; the event is a WaitResult.

    :param bucket: bucket name
    :param key: the object's key
    :param deadline: when to give up, in seconds since the epoch
    """

    def __init__(self, *, bucket: str, key: str, deadline: float, **polling: Any) -> None:
        super().__init__(**polling)
        self.bucket = bucket
        self.key = key
        self.deadline = deadline

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        return {**super().arguments(), "bucket": self.bucket, "key": self.key, "deadline": self.deadline}

    async def look(self) -> TriggerEvent | None:
        """Return the event that ends the wait, or None to look again."""
        if await current_object_async(await self.client(S3Hook), self.bucket, self.key):
            return WaitResult(WaitOutcome.REACHED, status="exists").to_event()
        return self._due(f"{uri(self.bucket, self.key)} was not uploaded")

    async def while_away(self, error: Exception) -> TriggerEvent | None:
        """End the wait when its deadline has passed, although the look failed."""
        return self._due(problem_of(error))

    def _due(self, reason: str) -> TriggerEvent | None:
        if time.time() < self.deadline:
            return None
        return WaitResult(WaitOutcome.TIMEOUT, reason=reason).to_event()
