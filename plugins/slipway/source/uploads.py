"""Which uploads of a bucket are handled: the rules that the watcher and the intake share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from slipway.formats.stored import versioned
from slipway.source.versions import ObjectVersion

# The default prefix of a model's zip: one List call covers all models.
COMMON_PREFIX = "training_jobs/"
REQUEST_FILE = "trainingjob.zip"
# The name of the asset of a bucket's uploads: this and the bucket's slug. The intake keeps its state on the asset.
ASSET_PREFIX = "slipway-uploads-"
INTAKE_TASK_ID = "start_releases"
# The entry of the asset's state store that holds an IntakeState.
STATE_KEY = "intake"

VersionKey = tuple[str, str]  # object key, VersionId


def version_key(version: ObjectVersion) -> VersionKey:
    """Return what identifies a version in its bucket."""
    return (version.key, version.version_id)


def is_request(key: str, known_keys: Collection[str]) -> bool:
    """Tell whether uploads to a key are releases: a model's key, or one of the usual form that has no model yet."""
    if key in known_keys:
        return True
    parts = key.split("/")
    return len(parts) == 3 and key.startswith(COMMON_PREFIX) and parts[2] == REQUEST_FILE


def list_prefixes(known_keys: Iterable[str]) -> list[str]:
    """Return the fewest prefixes whose listings contain every model's key."""
    return sorted({COMMON_PREFIX, *(key for key in known_keys if not key.startswith(COMMON_PREFIX))})


@dataclass(frozen=True)
class IntakeState:
    """What the intake has stored about one bucket.

    ``done`` are versions that have a run or were skipped by the first intake. ``announced`` are versions that wait for
    their model, which was logged once. Versions that S3 no longer lists are removed, so a lifecycle rule for noncurrent
    versions limits both.
    """

    done: frozenset[VersionKey] = frozenset()
    announced: frozenset[VersionKey] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON for the state store."""
        return versioned({"done": _grouped(self.done), "announced": _grouped(self.announced)})

    @classmethod
    def from_json(cls, value: Any) -> Self | None:
        """Read what is stored.

        :param value: what ``to_json`` returned, or None if nothing was ever stored
        :returns: the state, or None
        :raises ValueError: for anything else; a guess would release a version twice, or never
        """
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise ValueError(f"expected an object with done and announced, found {value!r:.100}")
        return cls(_flat(value.get("done"), "done"), _flat(value.get("announced"), "announced"))

    def open(self, listed: Iterable[ObjectVersion], known_keys: Collection[str]) -> list[ObjectVersion]:
        """Select the versions that need attention: those to release, and those without a model that were not announced.

        :param listed: every version of the bucket
        :param known_keys: source keys of the models
        :returns: the selection, in the given order
        """
        return [
            version
            for version in listed
            if is_request(version.key, known_keys)
            and version_key(version) not in self.done
            and (version.key in known_keys or version_key(version) not in self.announced)
        ]

    def kept_to(self, listed: Iterable[ObjectVersion]) -> IntakeState:
        """Return this state without the versions that S3 no longer lists."""
        present = {version_key(version) for version in listed}
        return IntakeState(self.done & present, self.announced & present)

    def with_done(self, version: ObjectVersion) -> IntakeState:
        """Return this state with one more version that is done."""
        one = {version_key(version)}
        return replace(self, done=self.done | one, announced=self.announced - one)

    def with_announced(self, version: ObjectVersion) -> IntakeState:
        """Return this state with one more version that waits for its model."""
        return replace(self, announced=self.announced | {version_key(version)})


def older_versions(listed: Iterable[ObjectVersion]) -> list[ObjectVersion]:
    """Return every version except the newest of each key."""
    ordered = sorted(listed)
    newest = {version.key: version for version in ordered}
    return [version for version in ordered if newest[version.key] != version]


def _grouped(versions: Iterable[VersionKey]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for key, version_id in sorted(versions):
        grouped.setdefault(key, []).append(version_id)
    return grouped


def _flat(grouped: Any, name: str) -> frozenset[VersionKey]:
    lists = grouped.values() if isinstance(grouped, Mapping) else [None]
    if not all(isinstance(ids, list) and all(isinstance(one, str) for one in ids) for ids in lists):
        raise ValueError(f"expected lists of version ids by key in {name}, found {grouped!r:.100}")
    return frozenset((key, version_id) for key, version_ids in grouped.items() for version_id in version_ids)
