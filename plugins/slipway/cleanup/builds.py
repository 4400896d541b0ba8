"""What builds of a model's container image have left: found with the releases' list, and removed by the same rule.

A build's record stays as long as a kept release has its image. Its claim stays for good, as a release's does, so that
the version counts as built. Images themselves are never removed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from slipway import image_names, names
from slipway.aws.documents import S3Documents, reading
from slipway.aws.s3 import S3Hook, StoredObject, uri
from slipway.cleanup import rules
from slipway.cleanup.rules import PastBuild
from slipway.errors import PermanentError
from slipway.formats.stored import known
from slipway.source.claims import claimed, read_claim

log = logging.getLogger(__name__)

_LISTS = frozenset({image_names.PACKAGES_FILE, image_names.DEBIAN_FILE})


@dataclass(frozen=True)
class _Recorded:
    """What is read of the record of an image."""

    digest: str
    tag: str


class BuildFolders:
    """Reads what builds have left: a claim and a record for each build that has left more than its claim.

    :param prefix: the model's prefix
    :param bucket: the bucket of its releases
    :param s3: S3
    :param documents: S3
    :param goes_on: tells whether the run of a DAG id and a run id has not ended
    """

    def __init__(
        self,
        prefix: str,
        bucket: str,
        s3: S3Hook,
        documents: S3Documents,
        goes_on: Callable[[str, str], bool],
    ) -> None:
        self._prefix, self._bucket, self._goes_on = prefix, bucket, goes_on
        self._s3, self._documents = s3, documents

    def superseded(
        self, folders: dict[str, list[StoredObject]], sequence: str, used: Callable[[], Collection[str]]
    ) -> list[tuple[str, list[StoredObject]]]:
        """Find what nothing needs.

        :param folders: what each build has left besides its claim, by revision id
        :param sequence: the sequence of the release that collects
        :param used: returns the digests of the kept releases' images; only asked where there is a build
        :returns: places with the objects that may be removed from them
        """
        if not folders:
            return []
        past = [self._past(one, objects) for one, objects in folders.items()]
        newest = self._recorded(names.newest_image_key(self._prefix))
        needed = {*used(), *([newest.digest] if newest else [])}
        gone = rules.superseded_builds(past, sequence, needed)
        found = [(self._home(one.revision_id), folders[one.revision_id]) for one in gone]
        lists = self._lists()
        unneeded = set(rules.left_lists({one.key: _tag(one.key) for one in lists}, set(past) - set(gone)))
        if unneeded:
            place = uri(self._bucket, image_names.packages_folder(self._prefix))
            found.append((place, [one for one in lists if one.key in unneeded]))
        return found

    def _lists(self) -> list[StoredObject]:
        """List the lists of packages; only those of builds that stay are there, and of builds since the last time."""
        objects = self._s3.objects(self._bucket, image_names.packages_folder(self._prefix))
        return [one for one in objects if one.key.rpartition("/")[2] in _LISTS]

    def _home(self, revision_id: str) -> str:
        return uri(self._bucket, image_names.build_key(self._prefix, revision_id, ""))

    def _past(self, revision_id: str, objects: Iterable[StoredObject]) -> PastBuild:
        record_key = image_names.build_key(self._prefix, revision_id, image_names.RECORD_FILE)
        try:
            claim = read_claim(self._documents, self._bucket, image_names.builds_of(self._prefix), revision_id)
            recorded = self._recorded(record_key) if any(one.key == record_key for one in objects) else None
        except PermanentError as error:
            # Without a sequence nothing of it is removed.
            log.warning("%s. Everything of this build is kept", error.problem)
            return PastBuild(revision_id, None, goes_on=True)
        return PastBuild(
            revision_id,
            *claimed(claim, self._goes_on),
            recorded.digest if recorded else None,
            recorded.tag if recorded else None,
        )

    def _recorded(self, key: str) -> _Recorded | None:
        content: Any = self._documents.read(self._bucket, key).content
        if content is None:
            return None
        with reading(uri(self._bucket, key)):
            return known(_Recorded, content)


def _tag(key: str) -> str:
    """Return the tag of the image that a list of packages is of."""
    return key.split("/")[-2]
