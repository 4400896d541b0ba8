"""A versioned bucket that answers the two listings as S3 does, for hooks and for asynchronous clients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from unittest.mock import Mock

BEGAN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


class Bucket:
    """A bucket; also the hook and the client that list it.

    :param existing: keys that HeadObject finds
    :param clock_seconds: the server's time after BEGAN when it is listed
    """

    def __init__(self, *existing: str, clock_seconds: int = 3600) -> None:
        self.existing, self.clock_seconds = set(existing), clock_seconds
        # The newest first, as S3 lists them.
        self.items: dict[str, list[dict]] = {}
        self.calls: list[tuple[str, str]] = []
        self.numbers = count(1)
        self.s3 = self.conn = self

    def put(self, key: str, version_id: str = "", *, second: int = 0, etag: str = "") -> str:
        number = next(self.numbers)
        item = {
            "Key": key,
            "VersionId": version_id or f"v{number}",
            "ETag": etag or f'"{number}"',
            "LastModified": BEGAN + timedelta(seconds=second),
        }
        self.items.setdefault(key, []).insert(0, item)
        return item["VersionId"]

    def delete(self, key: str) -> None:
        """Put a delete marker above the versions."""
        self.items[key].insert(0, {"Key": key, "VersionId": f"m{next(self.numbers)}", "LastModified": BEGAN})

    def expire(self, key: str, version_id: str) -> None:
        """Delete one version for ever."""
        self.items[key] = [item for item in self.items[key] if item["VersionId"] != version_id]

    def exists(self, bucket: str, key: str) -> bool:
        return key in self.existing

    def current_objects(self, bucket: str, prefix: str):
        from slipway.source.versions import current_of

        found = {}
        for page in self.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            found |= current_of(page)
        return found

    def current_object(self, bucket: str, key: str):
        return self.current_objects(bucket, key).get(key)

    def get_paginator(self, operation: str) -> Pages:
        return Pages(self, operation)

    def page(self, operation: str, prefix: str) -> list[dict]:
        self.calls.append((operation, prefix))
        keys = [key for key in sorted(self.items) if key.startswith(prefix) and self.items[key]]
        if operation == "list_objects_v2":
            newest = [self.items[key][0] for key in keys]
            # The digest is RepeatedListing's, which it takes of the answer's bytes.
            return [{"Contents": [item for item in newest if "ETag" in item], "SlipwayDigest": repr(newest)}]
        date = format_datetime(BEGAN + timedelta(seconds=self.clock_seconds), usegmt=True)
        listed = [{**item, "IsLatest": not at} for key in keys for at, item in enumerate(self.items[key])]
        # Small pages, so that most tests cross one.
        return [
            {
                "Versions": [item for item in listed[at : at + 2] if "ETag" in item],
                "DeleteMarkers": [item for item in listed[at : at + 2] if "ETag" not in item],
                "ResponseMetadata": {"HTTPHeaders": {"date": date}},
            }
            for at in range(0, max(len(listed), 1), 2)
        ]


class Pages:
    """A paginator, and the pages that it gives one after the other to both kinds of loops."""

    def __init__(self, bucket: Bucket, operation: str) -> None:
        self.bucket, self.operation = bucket, operation
        self.left: list[dict] = []

    def paginate(self, *, Bucket: str, Prefix: str, **_: object) -> Pages:
        self.left = self.bucket.page(self.operation, Prefix)
        return self

    def __iter__(self):
        return iter(self.left)

    async def __aiter__(self):
        for page in self.left:
            yield page


class AsyncBucket:
    """The asynchronous client of a bucket; the listing may be made to fail.

    :param errors: what the first listings raise
    """

    def __init__(self, bucket: Bucket, *errors: Exception) -> None:
        self.bucket, self.errors = bucket, list(errors)
        self.meta = Mock()

    def get_paginator(self, operation: str) -> Pages:
        if operation == "list_objects_v2" and self.errors:
            raise self.errors.pop(0)
        return self.bucket.get_paginator(operation)

    async def list_objects_v2(self, *, Bucket: str, Prefix: str, MaxKeys: int) -> dict:
        (page,) = self.bucket.page("list_objects_v2", Prefix)
        return {"Contents": page["Contents"][:MaxKeys]}
