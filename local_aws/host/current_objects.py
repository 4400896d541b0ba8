"""The current objects of each bucket as ministack wants them, a dictionary by key, which S3's index holds.

A month of data capture leaves hundreds of thousands of objects, and all of them in memory were a gigabyte.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from typing import Any

from local_aws.host.s3_index import Holder, Record, S3Index

# A call names a thousand keys at most, and finds what it has changed in them.
_HELD_KEYS = 2048
# ministack writes of an object in memory, and nowhere else, that it is being restored from an archive.
_RESTORE = "restore"


class Buckets(dict[Holder, dict[str, Any]]):
    """ministack's buckets by account and name, each with its objects in the index.

    :param index: what S3 knows
    """

    def __init__(self, index: S3Index) -> None:
        super().__init__()
        self._index = index

    def __setitem__(self, holder: Holder, bucket: dict[str, Any]) -> None:
        # A call that is undone puts back the bucket that was there.
        if not isinstance(bucket.get("objects"), CurrentObjects):
            bucket["objects"] = CurrentObjects(self._index, holder)
        super().__setitem__(holder, bucket)

    def setdefault(self, holder: Holder, bucket: Any = None) -> dict[str, Any]:
        """Add a bucket that is not there; return the one that is."""
        if holder not in self:
            self[holder] = bucket
        return self[holder]


class CurrentObjects(MutableMapping[str, Record]):
    """The current objects of a bucket by key.

    A call sees what it has changed before that is in the index; the newest keys of all calls are held in memory.

    :param index: what S3 knows
    :param holder: account and bucket
    """

    def __init__(self, index: S3Index, holder: Holder) -> None:
        self._index, self._holder = index, holder
        # None for a key without an object.
        self._held: OrderedDict[str, Record | None] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, key: str) -> Record:
        # The timers of restores are other threads.
        with self._lock:
            if key not in self._held:
                self._hold(key, self._index.object(self._holder, key))
            self._held.move_to_end(key)
            found = self._held[key]
        if found is None:
            raise KeyError(key)
        return found

    def __setitem__(self, key: str, record: Record) -> None:
        with self._lock:
            self._hold(key, record)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        with self._lock:
            self._hold(key, None)

    def __iter__(self) -> Iterator[str]:
        return self._index.keys(self._holder)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def _hold(self, key: str, record: Record | None) -> None:
        self._held[key] = record
        self._held.move_to_end(key)
        while len(self._held) > _HELD_KEYS:
            oldest, former = self._held.popitem(last=False)
            if former and _RESTORE in former:
                self._held[oldest] = former
                break
