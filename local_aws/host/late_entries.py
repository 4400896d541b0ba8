"""The entries of a store that are read from their text when somebody first asks for them.

A start would otherwise take as long as all stacks and alarms there are. ministack's stores keep their entries in a
dictionary, which is replaced by one of these.
"""

import threading
from collections.abc import Iterator
from typing import Any

from local_aws.host.state_entries import Entry, Part

# Two threads that ask for an entry at a time must get the same one, because they change it in place.
_reading = threading.RLock()
_NOTHING = object()


class Unread:
    """An entry of which only the text is there.

    :param entry: remembers what is on disk
    :param parts: the names and texts of its rows
    """

    def __init__(self, entry: Entry, parts: list[Part]) -> None:
        self._entry, self._parts = entry, parts
        self._value: Any = _NOTHING

    def read(self) -> Any:
        """Return the value, the same one each time."""
        with _reading:
            if self._value is _NOTHING:
                self._value = self._entry.join(self._parts)
                self._parts = []
            return self._value

    def mentions(self, text: str) -> bool:
        """Tell whether its rows have a text in them; True once it was read."""
        return self._value is not _NOTHING or any(text in body for _, body in self._parts)


class LateEntries(dict[Any, Any]):
    """A dictionary in which a value may still be `Unread`; nobody who asks gets one.

    What C code would copy without asking is covered by `__iter__`: it makes `dict(entries)` ask for each key.
    """

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        if type(value) is not Unread:
            return value
        read = value.read()
        with _reading:
            # Meanwhile another thread may have put something else, or removed it.
            if super().get(key) is value:
                super().__setitem__(key, read)
        return read

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(former := super().get(key)) is Unread:
            # What is on disk of it must be known, so that the rows which it has no more are removed.
            former.read()
        super().__setitem__(key, value)

    def __iter__(self) -> Iterator[Any]:
        return super().__iter__()

    def get(self, key: Any, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def pop(self, key: Any, *default: Any) -> Any:
        value = super().pop(key, *default)
        return value.read() if type(value) is Unread else value

    def popitem(self) -> tuple[Any, Any]:
        key, value = super().popitem()
        return key, value.read() if type(value) is Unread else value

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            super().__setitem__(key, default)
        return self[key]

    def values(self) -> list[Any]:  # type: ignore[override]  # a list, as ministack makes of it anyway
        return [value for _, value in self.items()]

    def items(self) -> list[tuple[Any, Any]]:  # type: ignore[override]  # as above
        return [(key, self[key]) for key in list(self)]

    def copy(self) -> dict[Any, Any]:
        return dict(self)

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self)

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __eq__(self, other: object) -> bool:
        return dict(self) == other

    __hash__ = None

    def update(self, *others: Any, **more: Any) -> None:
        """Take entries over; those that are unread stay so."""
        for other in (*others, more):
            if type(other) is LateEntries:
                for key in other:
                    self[key] = dict.__getitem__(other, key)
            else:
                for key, value in dict(other).items():
                    self[key] = value


def mentioning(entries: dict[Any, Any], text: str) -> Iterator[tuple[Any, Any]]:
    """Return the entries that may have a text in them, without reading the others.

    :param entries: of a store
    :param text: as it is written in JSON
    """
    for key in list(entries):
        value = dict.get(entries, key)
        if type(value) is not Unread or value.mentions(text):
            yield key, entries[key]
