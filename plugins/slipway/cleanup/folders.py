"""Which releases of a model have left something in S3, at a cost that does not follow how many there have been.

Each release leaves its claim for good. So where there are many, all are listed once a day, and a document names those
that had more than a claim.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, Self

from slipway import image_names, names
from slipway.aws.documents import Document, S3Documents
from slipway.aws.s3 import S3Hook, StoredObject
from slipway.formats.stored import known_or_new, versioned
from slipway.registry.hook import ListedPackage, ModelRegistryHook

_LISTED_EVERY = timedelta(days=1)
# How much the clocks of S3 and SageMaker may differ.
MARGIN = timedelta(hours=1)
# So many objects are listed each time: that takes less than a document and a list for each release that is kept.
_FEW = 100


class Folder:
    """What one release has left.

    :param read: lists its objects, without the claim
    """

    def __init__(self, read: Callable[[], list[StoredObject]]) -> None:
        self._read = read

    @cached_property
    def objects(self) -> list[StoredObject]:
        """Its objects; none where an earlier collection has removed them."""
        return self._read()


# By revision id.
Folders = dict[str, Folder]


@dataclass(frozen=True)
class FoundReleases:
    """What the last collections have found.

    :param listed: when all objects were listed, ISO 8601; None before that
    :param revisions: the ids of the releases that had more than a claim
    :param oldest: a time before which none of their objects was written, ISO 8601; None where that is not known
    :param collected: the ids of those of which nothing was left since then; their packages stay on record
    """

    listed: str | None = None
    revisions: tuple[str, ...] = ()
    oldest: str | None = None
    collected: tuple[str, ...] = ()

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
        self.of_a_release = _of_one(prefix)
        # What builds of the model's image have left, where all objects were listed: nothing finds out by itself.
        self.builds: dict[str, list[StoredObject]] = {}
        # What `read` has found: the document, when all were listed if that is remembered, the oldest object's time, and
        # all releases of the list, or of the document and since then.
        self._document = Document()
        self._whole: str | None = None
        self._oldest: datetime | None = None
        self._known: set[str] = set()
        # Since when packages were listed, and which.
        self._listed: tuple[datetime | None, list[ListedPackage]] | None = None

    def read(self, own: str, now: datetime) -> Folders:
        """Return what each release has left, without its claim, which is kept.

        A release that failed before it had a package is found by the next listing of all. Where not all are listed, a
        folder is when somebody asks for its objects.

        :param own: the release that collects
        :param now: when
        """
        self._document = self._documents.read(self._bucket, names.kept_key(self._prefix))
        before = FoundReleases.from_json(self._document.content)
        if not (before.listed and before.oldest) or now - datetime.fromisoformat(before.listed) >= _LISTED_EVERY:
            objects = self._s3.objects(self._bucket, self._home)
            found = self._by_release(objects)
            self.builds = self._by_release(objects, image_names.builds_of(self._prefix))
            self._oldest = min((item.modified for folder in found.values() for item in folder), default=None)
            self._whole = now.isoformat() if len(objects) > _FEW else None
            self._known = set(found)
            if self._whole and self._oldest:
                # Nothing is left of the others whose packages will be listed. The survey needs this list anyway.
                self._known |= self._registered(self._oldest - MARGIN)
            return {revision_id: Folder(partial(list, folder)) for revision_id, folder in found.items()}
        self._whole = before.listed
        self._oldest = min(map(datetime.fromisoformat, (before.listed, before.oldest)))
        # The survey needs the packages since the oldest release began: one list is enough for both. It has those of
        # collected releases, too, which are left out: each would be read by four calls.
        registered = self._registered(self._oldest - MARGIN) - set(before.collected)
        known = {*before.revisions, own, *registered}
        self._known = known.union(before.collected)
        return {revision_id: Folder(partial(self._objects, revision_id)) for revision_id in sorted(known)}

    def oldest(self) -> datetime | None:
        """Return a time before which no release that has left something has written an object; None without any."""
        return self._oldest

    def remember(self, found: Iterable[str]) -> None:
        """Keep for the next collection which releases have left something, where that is not listed each time.

        :param found: their ids; nothing is left of the others that are known
        """
        if self._whole is None:
            return
        oldest = self._oldest.isoformat() if self._oldest else None
        left = set(found)
        after = FoundReleases(self._whole, tuple(sorted(left)), oldest, tuple(sorted(self._known - left)))
        if after != FoundReleases.from_json(self._document.content):
            # Where another collection was faster, its document is as true as this one.
            key = names.kept_key(self._prefix)
            self._documents.write(self._bucket, key, after.to_json(), etag=self._document.etag)

    def _objects(self, revision_id: str) -> list[StoredObject]:
        objects = self._s3.objects(self._bucket, names.release_prefix(self._prefix, revision_id))
        return self._by_release(objects).get(revision_id, [])

    def _by_release(self, objects: Iterable[StoredObject], prefix: str | None = None) -> dict[str, list[StoredObject]]:
        """Sort objects by the release, or by the build if that is the prefix, that has left them; without claims."""
        prefix = prefix or self._prefix
        of_one = _of_one(prefix)
        found: defaultdict[str, list[StoredObject]] = defaultdict(list)
        for item in objects:
            match = of_one.fullmatch(item.key)
            if match and item.key != names.claim_key(prefix, match[1]):
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

    def pending(self) -> set[str]:
        """Return the releases that have a package on which nobody has decided, as the list of packages says."""
        return self._registered(self._oldest - MARGIN, only_pending=True) if self._oldest else set()

    def _registered(self, since: datetime, *, only_pending: bool = False) -> set[str]:
        """Return the releases whose packages were made since then."""
        wanted = (one for one in self.packages(since) if one.pending or not only_pending)
        matches = (self.of_a_release.search(one.description) for one in wanted)
        return {match[1] for match in matches if match}


def _of_one(prefix: str) -> re.Pattern[str]:
    """Return what finds the key of an object of a release, or of a build, with the revision's id as its group."""
    return re.compile(rf"{re.escape(names.release_prefix(prefix, '')[:-1])}([0-9a-f]{{32}})/.+")
