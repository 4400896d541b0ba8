"""The newest image that Slipway has built for a model, by the record that its build leaves in S3."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from slipway import names
from slipway.aws.documents import content_of, reading
from slipway.aws.s3 import uri
from slipway.errors import PermanentError
from slipway.formats.stored import known
from slipway.plan import PinnedImage
from slipway.request.archive import MAX_BYTES
from slipway.request.fence import RequestReader


class Records(RequestReader, Protocol):
    """The part of S3 that is needed to read the record."""

    def exists(self, bucket: str, key: str) -> bool:
        """Tell whether an object exists."""


@dataclass(frozen=True)
class _Record:
    """What is read of the record.

    :param uri: of the repository, with the registry
    :param source: the upload that it was built from
    """

    uri: str
    digest: str
    tag: str
    source: dict[str, str] = field(default_factory=dict)


def newest_image(prefix: str, bucket: str, s3: Records) -> PinnedImage | None:
    """Read which image is the newest, of those whose scans have passed.

    :param prefix: the model's prefix
    :param bucket: the bucket of the model's releases
    :param s3: S3, through the model's connection
    :returns: None where none has been built
    :raises UnreadableDocument: when the record is none
    """
    key = names.newest_image_key(prefix)
    try:
        document = s3.read_version(bucket, key, max_bytes=MAX_BYTES)
    except PermanentError:
        if s3.exists(bucket, key):
            raise
        return None
    content = content_of(document, uri(bucket, key))
    with reading(uri(bucket, key)):
        found = known(_Record, content)
    source = found.source
    place = uri(source["bucket"], source["key"], source.get("version_id")) if {"bucket", "key"} <= set(source) else None
    return PinnedImage(f"{found.uri}@{found.digest}", found.tag, place)
