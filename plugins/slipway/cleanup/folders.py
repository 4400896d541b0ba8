"""Which releases of a model have left something in S3, at a cost that does not follow how many there have been.

Each release leaves its claim for good. So where there are many, all are listed once a day, and a document names those
that had more than a claim.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from slipway import names
from slipway.aws.documents import S3Documents
from slipway.aws.s3 import S3Hook, StoredObject
from slipway.formats.stored import known_or_new, versioned
from slipway.registry.hook import ListedPackage, ModelRegistryHook

_LISTED_EVERY = timedelta(days=1)
# How much the clocks of S3 and SageMaker may differ.
_MARGIN = timedelta(hours=1)
# So many objects are listed each time: that takes less than a document and a list for each release that is kept.
_FEW = 100

Folders = dict[str, list[StoredObject]]


@dataclass(frozen=True)
class FoundReleases:
    """What the last collections have found.

    :param listed: when all objects were listed, ISO 8601; None before that
    :param revisions: the ids of the releases that had more than a claim
    :param oldest: when the oldest of their objects was written, ISO 8601; None where that is not known
    """

    listed: str | None = None
    revisions: tuple[str, ...] = ()
    oldest: str | None = None

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what ``to_json`` returned; what cannot be read is found out again."""
        return known_or_new(cls, value)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned(asdict(self))


class ReleaseFolders:
    """Reads what releases have left in S3.

    :param prefix: the model's prefix
    :param bucket: the bucket of its releases
    :param s3: S3
    :param documents: S3
    :param registry: the Model Registry
    """

    def __init__(
        self, prefix: str, bucket: str, s3: S3Hook, documents: S3Documents, registry: ModelRegistryHook
    ) -> None:
        self._prefix, self._bucket, self._s3, self._registry = prefix, bucket, s3, registry
        self._documents = documents
        self._home = names.release_prefix(prefix, "")[:-1]
        self.of_a_release = re.compile(rf"{re.escape(self._home)}([0-9a-f]{{32}})/(.+)")
        # Since when packages were listed, and which.
        self._listed: tuple[datetime | None, list[ListedPackage]] | None = None

    def read(self, own: str, now: datetime) -> Folders:
        """Return the objects of each release, by revision id, without its claim, which is kept.

        A release that failed before it had a package is found by the next listing of all. Where not all are listed,
        the objects of the release that collects are not, because it removes nothing of its own.

        :param own: the release that collects
        :param now: when
        """
        document = self._documents.read(self._bucket, names.kept_key(self._prefix))
        before = FoundReleases.from_json(document.content)
        if before.listed is None or now - datetime.fromisoformat(before.listed) >= _LISTED_EVERY:
            objects = self._s3.objects(self._bucket, self._home)
            found = self._by_release(objects)
            if len(objects) <= _FEW:
                return found
            listed = now.isoformat()
        else:
            listed = before.listed
            # The survey needs the packages since the oldest release began: one list is enough for both.
            since = min(map(datetime.fromisoformat, filter(None, (listed, before.oldest)))) - _MARGIN
            wanted = sorted({*before.revisions, *self._registered(since)} - {own})
            folders = (names.release_prefix(self._prefix, one) for one in wanted)
            found = self._by_release(one for folder in folders for one in self._s3.objects(self._bucket, folder))
            found[own] = []
        oldest = min((item.modified.isoformat() for folder in found.values() for item in folder), default=None)
        after = FoundReleases(listed, tuple(sorted(found)), oldest)
        if after != before:
            # Where another collection was faster, its document is as true as this one.
            self._documents.write(self._bucket, names.kept_key(self._prefix), after.to_json(), etag=document.etag)
        return found

    def _by_release(self, objects: Iterable[StoredObject]) -> Folders:
        found: Folders = defaultdict(list)
        for item in objects:
            match = self.of_a_release.fullmatch(item.key)
            if match and item.key != names.claim_key(self._prefix, match[1]):
                found[match[1]].append(item)
        return dict(found)

    def packages(self, since: datetime | None) -> list[ListedPackage]:
        """List the model's packages, the newest first, unless that was done already.

        :param since: those that were made since then are among them; None for all
        """
        known = self._listed
        if known is None or (known[0] is not None and (since is None or since < known[0])):
            group = names.model_package_group(self._prefix)
            known = self._listed = since, self._registry.listed_packages(group, since)
        return known[1]

    def _registered(self, since: datetime) -> set[str]:
        """Return the releases whose packages were made since then."""
        matches = (self.of_a_release.search(one.description) for one in self.packages(since))
        return {match[1] for match in matches if match}
