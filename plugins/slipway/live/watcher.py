"""The watcher that keeps the snapshot of what is live, its history, and the alarms that people must be told of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from slipway.aws.patience import without_patience
from slipway.errors import UnreadableDocument, problem_of
from slipway.live.alarms import TOLD, UNTOLD, Firing, firing, untold, untold_json
from slipway.live.history import (
    RECORDED,
    WRITTEN,
    History,
    Recorded,
    Written,
    history_key,
    known_until,
    points_of,
    read_from,
)
from slipway.live.look import LiveSurvey, Seen
from slipway.live.snapshot import LOOKED, Looked, Snapshot, part_keys
from slipway.states import ON_THE_WAY
from slipway.waiting.activity import Activity
from slipway.waiting.watcher import Look, WatcherTrigger

# With the look itself, what is shown is at most a minute old.
POLL_SECONDS = 55.0
# Between two looks while no endpoint has requests, no alarm fires, and nothing changes.
CALM_POLL_SECONDS = 300.0


class LiveWatcherTrigger(WatcherTrigger):
    """Look at what is live, and keep it in the asset's state store; emits an event while an alarm must be told.

    What was stored is read before each look, so a triggerer that starts again describes only what changed meanwhile,
    and reads the requests that it missed. An entry is written only when it changed, besides the one that says when
    somebody looked.

    :param models: the prefixes of the models
    :param notified: those whose alarms somebody must be told of
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param poll_seconds: time between two looks; longer while nothing happens
    """

    watched = "what is live"

    def __init__(
        self,
        *,
        models: Sequence[str],
        notified: Sequence[str] = (),
        aws_conn_id: str | None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        super().__init__(aws_conn_id=aws_conn_id, poll_seconds=poll_seconds)
        self.models = sorted(models)
        self.notified = sorted(notified)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        return {"models": self.models, "notified": self.notified, **super().arguments()}

    def survey(self) -> LiveSurvey:
        """Return a survey with new clients."""
        return LiveSurvey(self.models, self.aws_conn_id)

    async def looks(self) -> AsyncGenerator[Look]:
        """Look again and again."""
        survey, store, activity = self.survey(), self._store(), self.activity()
        while True:
            looked = _looked(await store.aget(LOOKED))
            before = {key: await store.aget(key) for key in part_keys(looked.parts)}
            recorded = Recorded.from_json(await store.aget(RECORDED))
            now = datetime.now(UTC)
            since = read_from(recorded, now)
            try:
                # The look is synchronous: it gets a thread, which must not wait long. This loop waits instead.
                with without_patience():
                    seen = await asyncio.to_thread(survey.look, _snapshot(before.values()), since)
            except Exception as error:
                await store.aset(LOOKED, replace(looked, problem=problem_of(error)).to_json())
                raise
            after = seen.snapshot.parts()
            for key, part in after.items():
                if before.get(key) != part:
                    await store.aset(key, part)
            alarms = await self._untold(store, seen)
            if _happens(seen, _snapshot(before.values())) or alarms:
                activity.happened()
            pauses = (self.poll_seconds, max(self.poll_seconds, CALM_POLL_SECONDS))
            pause_seconds = pauses[activity.calm]
            looked = Looked(datetime.now(UTC).isoformat(), len(after), pause_seconds=pause_seconds)
            await store.aset(LOOKED, looked.to_json())
            await self._record(store, seen, recorded, since, now)
            yield [one.key for one in alarms], {"alarms": len(alarms)}
            await activity.pause(*pauses)

    def activity(self) -> Activity:
        """Return what decides how long the pauses are."""
        return Activity()

    async def _record(self, store: Any, seen: Seen, recorded: Recorded, since: datetime, now: datetime) -> None:
        """Add the points that were complete when the look began to the endpoints' histories, and note it."""
        until = known_until(now)
        if until <= since:
            return
        every = points_of(seen.traffic, since, until)
        for endpoint, points in every.items():
            key = history_key(endpoint)
            await store.aset(key, _history(await store.aget(key)).with_points(points, now).to_json())
        before = Written.from_json(await store.aget(WRITTEN))
        after, old = before.after(every, now)
        for endpoint in old:
            await store.adelete(history_key(endpoint))
        if after != before:
            await store.aset(WRITTEN, after.to_json())
        # Last: a watcher that ends before this adds the same points again, in place of themselves.
        await store.aset(RECORDED, recorded.with_span(since, until).to_json())

    async def _untold(self, store: Any, seen: Seen) -> list[Firing]:
        """Store the alarms that people must be told of."""
        before = await store.aget(UNTOLD)
        now_firing = [one for one in firing(seen.firing, seen.snapshot) if one.model in self.notified]
        alarms = untold(before, None, now_firing)
        if alarms:
            # It has an entry for each alarm that was ever told, and most looks find none to tell.
            alarms = untold(before, await store.aget(TOLD), now_firing)
        after = untold_json(alarms)
        if after != (before or untold_json(())):
            await store.aset(UNTOLD, after)
        return alarms

    def _store(self) -> Any:
        return self.asset_state_store


def _happens(seen: Seen, before: Snapshot) -> bool:
    """Tell whether a look has found requests, an alarm that fires, a change under way, or anything new."""
    under_way = any(one.status in ON_THE_WAY for one in seen.snapshot.endpoints.values())
    return bool(seen.traffic or seen.firing) or under_way or seen.snapshot != before


def _looked(stored: Any) -> Looked:
    """Read what another version of Slipway may have stored; the next look replaces what cannot be read."""
    try:
        return Looked.from_json(stored)
    except UnreadableDocument:
        return Looked()


def _history(stored: Any) -> History:
    try:
        return History.from_json(stored)
    except UnreadableDocument:
        return History()


def _snapshot(parts: Iterable[Any]) -> Snapshot:
    try:
        return Snapshot.from_parts(parts)
    except UnreadableDocument:
        return Snapshot()
