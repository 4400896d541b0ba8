"""What the watcher of a bucket sees of it: one listing a look, and the versions of the few keys that need more."""

from __future__ import annotations

import operator
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.image_names import is_source
from slipway.source.key_look import KeyLook, look_async
from slipway.source.listing import RepeatedListing
from slipway.source.uploads import (
    COMMON_PREFIX,
    IntakeState,
    KeyState,
    VersionKey,
    has_usual_form,
    is_request,
    keys_elsewhere,
    listed_prefixes,
)
from slipway.source.versions import CurrentObject, ObjectVersion, current_object_async


@dataclass(frozen=True)
class Judged:
    """What a look has found.

    :param waiting: what needs the intake
    :param handled: the named versions that have a run, need none, or wait for their model
    """

    waiting: frozenset[Hashable]
    handled: frozenset[VersionKey]


class BucketView:
    """The current objects of a bucket's source keys.

    A look is one List call for the zips of all models, one for the sources of all images where a model has one, and one
    for a key elsewhere, each in its turn: so its cost depends neither on the number of models nor on that of versions.

    :param client: an aiobotocore S3 client
    :param bucket: the bucket
    :param keys: source keys of the models
    """

    def __init__(self, client: Any, bucket: str, keys: Collection[str]) -> None:
        self._client = client
        self._bucket = bucket
        self._keys = frozenset(keys)
        self._turns = keys_elsewhere(keys)
        self._listings = [RepeatedListing(client, bucket, prefix) for prefix in listed_prefixes(keys)]
        # What each listing has shown; the same objects again while nothing changes.
        self._listed: tuple[Mapping[str, CurrentObject], ...] = ()
        self._elsewhere: dict[str, CurrentObject | None] = {}
        # The newest versions that are known to hide none.
        self._settled: dict[str, str] = {}
        self._stored: tuple[Any, IntakeState | None] = (None, None)
        # Where nothing waited: the listings, the objects elsewhere and the intake's state. A thousand keys are compared
        # again only after one of the three has changed.
        self._quiet: (
            tuple[tuple[Mapping[str, CurrentObject], ...], Mapping[str, CurrentObject | None], IntakeState] | None
        ) = None

    async def refresh(self) -> None:
        """Look at the current objects."""
        self._listed = tuple([await listing.objects() for listing in self._listings])
        if self._turns:
            key = self._turns.pop(0)
            self._turns.append(key)
            self._elsewhere[key] = await current_object_async(self._client, self._bucket, key)

    def intake(self, value: Any) -> IntakeState | None:
        """Read what the intake has stored: the same object again while it is the same.

        :raises ValueError: as `IntakeState.from_json`
        """
        if value != self._stored[0]:
            self._stored = value, IntakeState.from_json(value)
        return self._stored[1]

    async def judge(self, intake: IntakeState | None, named: Collection[VersionKey]) -> Judged:
        """Compare what was listed with what the intake has stored.

        :param intake: what is stored; None before the first intake
        :param named: versions that notifications name
        :raises slipway.errors.AwsError: when a call fails
        """
        unasked = {version for version in named if not is_request(version[0], self._keys)}
        if intake is None:
            return Judged(frozenset(), frozenset(unasked))
        if not named and self._is_quiet(intake):
            return Judged(frozenset(), frozenset())
        young = False
        waiting: set[Hashable] = set()
        seen = self._seen(intake)
        changed = {key for key in seen if self._has_changed(key, intake)}
        for key in seen:
            state = intake.keys.get(key)
            if key in changed:
                waiting.add((key, self._current(key)))
            elif state is None:
                continue
            elif state.waiting and key in self._keys:
                waiting |= {(key, version_id) for version_id in state.waiting}
            elif state.may_hide_one and self._settled.get(key) != state.newest:
                young = True
                waiting |= {(one.key, one.version_id) for one in await self._new_versions(key, state)}
        self._quiet = None if waiting or young else (self._listed, dict(self._elsewhere), intake)
        handled = set(unasked)
        looks: dict[str, list[ObjectVersion]] = {}
        for version in set(named) - unasked:
            if await self._is_handled(version, intake, changed, looks):
                handled.add(version)
            elif version[0] not in changed:
                waiting.add(version)
        return Judged(frozenset(waiting), frozenset(handled))

    def _is_quiet(self, intake: IntakeState) -> bool:
        """Tell whether nothing has changed since nothing waited."""
        if self._quiet is None:
            return False
        listed, elsewhere, stored = self._quiet
        same = all(map(operator.is_, listed, self._listed)) and len(listed) == len(self._listed)
        return same and stored is intake and elsewhere == self._elsewhere

    def _has_changed(self, key: str, intake: IntakeState) -> bool:
        current, state = self._current(key), intake.keys.get(key)
        if state is not None:
            return not state.shows(current)
        # The intake has to store that a key elsewhere, or an image's source, is watched.
        return current is not None or not has_usual_form(key)

    def _seen(self, intake: IntakeState) -> list[str]:
        """Return the keys that the last listings have shown, or would have shown."""
        stored = {key for key in intake.keys if key.startswith(COMMON_PREFIX)}
        sources = {key for key in self._keys if is_source(key)}
        return [
            key for key in sorted(stored.union(sources, *self._listed, self._elsewhere)) if is_request(key, self._keys)
        ]

    def _current(self, key: str) -> CurrentObject | None:
        found = (listed.get(key) for listed in (*self._listed, self._elsewhere))
        return next(filter(None, found), None)

    async def _new_versions(self, key: str, state: KeyState) -> list[ObjectVersion]:
        """Return the versions that the intake has not seen; those that wait for their model it has."""
        found = await look_async(self._client, self._bucket, KeyLook(key, state))
        new = [one for one in found.open if one.version_id not in state.waiting]
        if found.state and found.state.settled and not new:
            self._settled[key] = state.newest
        return new

    async def _is_handled(
        self, version: VersionKey, intake: IntakeState, changed: Collection[str], looks: dict[str, list[ObjectVersion]]
    ) -> bool:
        """Tell whether a version has a run, needs none, or waits for its model.

        The intake starts the versions that wait when their model file appears; it looks at their keys then.
        """
        key, version_id = version
        state = intake.keys.get(key)
        if state is None:
            # Without a current object it was deleted before it had a run.
            return has_usual_form(key) and self._current(key) is None
        if version_id in state.waiting:
            return key not in self._keys
        if version_id == state.newest or version_id in state.done:
            return True
        if key in changed:
            return False
        if key not in looks:
            looks[key] = await self._new_versions(key, state)
        return all(one.version_id != version_id for one in looks[key])
