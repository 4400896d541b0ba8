"""The watcher that keeps the snapshot of what is live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from slipway.aws.patience import without_patience
from slipway.errors import UnreadableDocument, problem_of
from slipway.live.look import LiveSurvey
from slipway.live.snapshot import LOOKED, Looked, Snapshot, part_keys
from slipway.waiting.watcher import Look, WatcherTrigger

# With the look itself, what is shown is at most a minute old.
POLL_SECONDS = 55.0


class LiveWatcherTrigger(WatcherTrigger):
    """Look at what is live, and keep it in the asset's state store; emits no event.

    What was stored is read before each look, so a triggerer that starts again describes only what changed meanwhile. An
    entry is written only when it changed, besides the one that says when somebody looked.

    :param models: the prefixes of the models
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param poll_seconds: time between two looks
    """

    watched = "what is live"

    def __init__(self, *, models: Sequence[str], aws_conn_id: str | None, poll_seconds: float = POLL_SECONDS) -> None:
        super().__init__(aws_conn_id=aws_conn_id, poll_seconds=poll_seconds)
        self.models = sorted(models)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        return {"models": self.models, **super().arguments()}

    def survey(self) -> LiveSurvey:
        """Return a survey with new clients."""
        return LiveSurvey(self.models, self.aws_conn_id)

    async def looks(self) -> AsyncGenerator[Look]:
        """Look again and again."""
        survey, store = self.survey(), self._store()
        while True:
            looked = _looked(await store.aget(LOOKED))
            before = {key: await store.aget(key) for key in part_keys(looked.parts)}
            try:
                # The look is synchronous: it gets a thread, which must not wait long. This loop waits instead.
                with without_patience():
                    found = await asyncio.to_thread(survey.look, _snapshot(before.values()))
            except Exception as error:
                await store.aset(LOOKED, replace(looked, problem=problem_of(error)).to_json())
                raise
            after = found.parts()
            for key, part in after.items():
                if before.get(key) != part:
                    await store.aset(key, part)
            await store.aset(LOOKED, Looked(datetime.now(UTC).isoformat(), len(after)).to_json())
            yield (), {}
            await asyncio.sleep(self.poll_seconds)

    def _store(self) -> Any:
        return self.asset_state_store


def _looked(stored: Any) -> Looked:
    """Read what another version of Slipway may have stored; the next look replaces what cannot be read."""
    try:
        return Looked.from_json(stored)
    except UnreadableDocument:
        return Looked()


def _snapshot(parts: Iterable[Any]) -> Snapshot:
    try:
        return Snapshot.from_parts(parts)
    except UnreadableDocument:
        return Snapshot()
