"""Which uploads of a bucket are handled: the rules that the watcher and the intake share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from slipway.formats.stored import an_object, known, unreadable, versioned
from slipway.image_names import SOURCE_PREFIX, is_source
from slipway.source.versions import CurrentObject

# The default prefix of a model's zip: one List call covers all models.
COMMON_PREFIX = "training_jobs/"
REQUEST_FILE = "trainingjob.zip"
# The name of the asset of a bucket's uploads: this and the bucket's slug. The intake keeps its state on the asset.
ASSET_PREFIX = "slipway-uploads-"
INTAKE_TASK_ID = "start_releases"
# The entry of the asset's state store that holds an IntakeState.
STATE_KEY = "intake"

VersionKey = tuple[str, str]  # object key, VersionId


def has_usual_form(key: str) -> bool:
    """Tell whether a key is the default one of some model, which there may be later."""
    parts = key.split("/")
    return len(parts) == 3 and key.startswith(COMMON_PREFIX) and parts[2] == REQUEST_FILE


def is_request(key: str, known_keys: Collection[str]) -> bool:
    """Tell whether uploads to a key start runs: a model's key, or one of the usual form that has no model yet."""
    return key in known_keys or has_usual_form(key)


def listed_prefixes(known_keys: Iterable[str]) -> list[str]:
    """Return the prefixes that a look lists: that of zips, and that of image sources where a model builds images."""
    return [COMMON_PREFIX, *([SOURCE_PREFIX] if any(map(is_source, known_keys)) else [])]


def keys_elsewhere(known_keys: Iterable[str]) -> list[str]:
    """Return the models' keys that no listing of a prefix contains."""
    return sorted(key for key in known_keys if not key.startswith((COMMON_PREFIX, SOURCE_PREFIX)))


@dataclass(frozen=True)
class KeyState:
    """What the intake has stored about one key when it last listed its versions.

    :param newest: the VersionId of the newest version; all older ones have a run, wait, or were skipped
    :param newest_at: when S3 stored it; ISO 8601, UTC
    :param etag: its ETag; empty where a delete marker is above it
    :param settled: whether a later upload has another time: S3 gives whole seconds
    :param waiting: versions without a run, the oldest first: of a key without a model a few, otherwise all whose file
        is broken, whose DAG is missing or whose runs Airflow has refused
    :param done: the versions with a run, in a state that an earlier Slipway stored, which has no newest
    """

    newest: str = ""
    newest_at: str = ""
    etag: str = ""
    settled: bool = False
    waiting: tuple[str, ...] = ()
    done: tuple[str, ...] = ()

    @property
    def may_hide_one(self) -> bool:
        """Whether a later upload of the same content could look like the newest one."""
        return bool(self.newest) and not self.settled

    def shows(self, current: CurrentObject | None) -> bool:
        """Tell whether a listing of current objects shows this key as it was."""
        if current is None:
            return not self.etag
        return (self.etag, self.newest_at) == (current.etag, current.last_modified)


@dataclass(frozen=True)
class IntakeState:
    """What the intake has stored about one bucket: as many entries as it has source keys, whatever their history."""

    keys: Mapping[str, KeyState] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON for the state store."""
        return versioned({"keys": {key: _plain(state) for key, state in sorted(self.keys.items())}})

    @classmethod
    def from_json(cls, value: Any) -> Self | None:
        """Read what is stored.

        :param value: what ``to_json`` returned, or None if nothing was ever stored
        :returns: the state, or None
        :raises ValueError: for anything else; a guess would release a version twice, or never
        """
        if value is None:
            return None
        content = an_object(value, cls.__name__)
        if "keys" not in content:
            return cls(_of_earlier_slipway(content))
        return cls({key: known(KeyState, state) for key, state in an_object(content["keys"], "keys").items()})

    def needs_look(self, key: str, current: CurrentObject | None, known_keys: Collection[str]) -> bool:
        """Tell whether the intake has to list the versions of a key.

        :param key: a source key
        :param current: how a listing shows it now; None where it does not
        :param known_keys: source keys of the models
        """
        state = self.keys.get(key)
        if state is None:
            # A key elsewhere is watched from when it has a state.
            return current is not None or not has_usual_form(key)
        return not state.shows(current) or state.may_hide_one or (bool(state.waiting) and key in known_keys)


def _plain(state: KeyState) -> dict[str, Any]:
    """Return the members that say something, since there is a state for each of a thousand models."""
    return {
        name: value if not isinstance(value, tuple) else list(value) for name, value in asdict(state).items() if value
    }


def _of_earlier_slipway(content: Mapping[str, Any]) -> dict[str, KeyState]:
    """Read the state that was two lists of versions for each key: those that are done, and those that wait."""
    done, waiting = (_lists(content.get(name), name) for name in ("done", "announced"))
    return {
        key: KeyState(waiting=waiting.get(key, ()), done=done.get(key, ()))
        for key in sorted(done.keys() | waiting.keys())
    }


def _lists(grouped: Any, name: str) -> dict[str, tuple[str, ...]]:
    lists = grouped.values() if isinstance(grouped, Mapping) else [None]
    if not all(isinstance(ids, list) and all(isinstance(one, str) for one in ids) for ids in lists):
        raise unreadable(f"IntakeState.{name}", f"expected lists of version ids by key, found {grouped!r:.100}")
    return {str(key): tuple(version_ids) for key, version_ids in grouped.items()}
