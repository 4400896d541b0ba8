"""What of one entry of ministack's state differs from its rows on disk.

An entry is a row, or several if it grows: lists by pieces, queues by message, log groups by stream and piece, what is
kept by key and does not change by key.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from itertools import chain, takewhile
from typing import Any, Protocol

# A part's name and its text, None for a part that is gone.
Change = tuple[str, str | None]
# A part's name and its text.
Part = tuple[str, str]

_PIECE = 32
# As ministack writes it.
_BYTES = "__bytes__"


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return {_BYTES: base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} is not JSON")


def _from_json(found: dict[str, Any]) -> Any:
    if _BYTES in found:
        return base64.b64decode(found[_BYTES])
    return {name[1:] if name.endswith(_BYTES) else name: value for name, value in found.items()}


_encoded = json.JSONEncoder(default=_as_json).encode


def written(value: Any) -> str:
    """Return the text of a value."""
    text = _encoded(value)
    # A user may call something as bytes are marked.
    return _encoded(_marked(value)) if _BYTES in text else text


def _marked(value: Any) -> Any:
    """Put a mark before names that end as that of bytes does."""
    if isinstance(value, dict):
        return {f"_{name}" if str(name).endswith(_BYTES) else name: _marked(one) for name, one in value.items()}
    return [_marked(one) for one in value] if isinstance(value, list | tuple) else value


def read(text: str) -> Any:
    """Return the value that `written` made a text of."""
    return json.loads(text, object_hook=_from_json if _BYTES in text else None)


class Entry(Protocol):
    """What is on disk of one entry."""

    def changes(self, value: Any) -> Iterator[Change]:
        """Return the parts that differ from those on disk, and remember the new ones as if they were there."""

    def join(self, parts: Iterable[Part]) -> Any:
        """Return the value that some parts are of, and remember them as being on disk."""


def changed(entry: Entry, value: Any) -> Iterator[Change]:
    """Return the changes of an entry."""
    return entry.changes(value)


def added(entry: Entry, value: Any) -> Iterator[Change]:
    """Return the changes of an entry to which another service has only added something."""
    return entry.added(value) if isinstance(entry, Queue) else entry.changes(value)


class Whole:
    """An entry in one row."""

    def __init__(self) -> None:
        self._text: int | None = None

    def changes(self, value: Any) -> Iterator[Change]:
        """Compare texts, because any part of the value may have been changed in place."""
        text = written(value)
        if hash(text) != self._text:
            self._text = hash(text)
            yield "", text

    def join(self, parts: Iterable[Part]) -> Any:
        """Return the value."""
        [(_, text)] = parts
        self._text = hash(text)
        return read(text)


class Pieces:
    """A list to which items are added, and whose items do not change."""

    def __init__(self) -> None:
        self._pieces: list[list[Any]] = []

    def changes(self, value: list[Any]) -> Iterator[Change]:
        """Compare items by identity first, which costs little."""
        count = max(1, -(-len(value) // _PIECE))
        for number in range(count):
            piece = value[number * _PIECE : (number + 1) * _PIECE]
            if number >= len(self._pieces):
                self._pieces.append(piece)
            elif piece == self._pieces[number]:
                continue
            else:
                self._pieces[number] = piece
            yield str(number), written(piece)
        for number in range(count, len(self._pieces)):
            yield str(number), None
        del self._pieces[count:]

    def join(self, parts: Iterable[Part]) -> list[Any]:
        """Return the list."""
        self._pieces = [read(text) for _, text in sorted(parts, key=lambda part: int(part[0]))]
        return list(chain.from_iterable(self._pieces))

    def gone(self) -> Iterator[Change]:
        """Return that all pieces are gone."""
        for number in range(len(self._pieces)):
            yield str(number), None


class Unchanging:
    """A dictionary whose values do not change, with a row for each."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}
        # Whether there is the one row in which earlier versions kept all.
        self._whole = False

    def changes(self, value: dict[str, Any]) -> Iterator[Change]:
        """Compare values by identity."""
        if self._whole:
            self._whole, self._known = False, {}
            yield "", None
        for key in self._known.keys() - value.keys():
            del self._known[key]
            yield key, None
        for key, one in value.items():
            if self._known.get(key) is not one:
                self._known[key] = one
                yield key, written(one)

    def join(self, parts: Iterable[Part]) -> dict[str, Any]:
        """Return the dictionary, also of an earlier version's row."""
        known = dict(parts)
        self._whole = "" in known
        value: dict[str, Any] = read(known.pop("")) if self._whole else {}
        value |= {key: read(text) for key, text in known.items()}
        self._known = dict(value)
        return value


class Queue:
    """A queue of SQS, with a row for each message."""

    def __init__(self) -> None:
        self._rest = Whole()
        self._messages: dict[str, tuple[Any, ...]] = {}

    def changes(self, value: dict[str, Any]) -> Iterator[Change]:
        """Compare the members of messages, which are replaced and not changed in place."""
        yield from self._rest.changes({**value, "messages": []})
        now = {message["id"]: message for message in value["messages"]}
        for name in self._messages.keys() - now.keys():
            del self._messages[name]
            yield f"m{name}", None
        for name, message in now.items():
            members = tuple(message.values())
            if self._messages.get(name) != members:
                self._messages[name] = members
                yield f"m{name}", written(message)

    def added(self, value: dict[str, Any]) -> Iterator[Change]:
        """Return the messages that are new; they are the last ones."""
        new = list(takewhile(lambda message: message["id"] not in self._messages, reversed(value["messages"])))
        for message in reversed(new):
            self._messages[message["id"]] = tuple(message.values())
            yield f"m{message['id']}", written(message)

    def join(self, parts: Iterable[Part]) -> dict[str, Any]:
        """Return the queue; its messages are in the order in which they came."""
        known = list(parts)
        value: dict[str, Any] = self._rest.join([part for part in known if not part[0]])
        value["messages"] = [read(text) for name, text in known if name]
        self._messages = {message["id"]: tuple(message.values()) for message in value["messages"]}
        return value


class LogGroup:
    """A log group of CloudWatch Logs, with rows for each stream's description and for its events."""

    def __init__(self) -> None:
        self._rest = Whole()
        self._streams: dict[str, tuple[list[Any], int, list[Any], Pieces]] = {}

    def changes(self, value: dict[str, Any]) -> Iterator[Change]:
        """Compare streams by their members, and the events of those only that have others."""
        yield from self._rest.changes({**value, "streams": {}})
        streams = value["streams"]
        for name in self._streams.keys() - streams.keys():
            *_, pieces = self._streams.pop(name)
            yield f"s{name}", None
            yield from ((f"e{part}:{name}", text) for part, text in pieces.gone())
        for name, stream in streams.items():
            events = stream["events"]
            rest = [member for key, member in stream.items() if key != "events"]
            former, count, known, pieces = self._streams.get(name) or ([], -1, [], Pieces())
            if former is events and count == len(events) and known == rest:
                continue
            if known != rest:
                yield f"s{name}", written({**stream, "events": []})
            yield from ((f"e{part}:{name}", text) for part, text in pieces.changes(events))
            self._streams[name] = events, len(events), rest, pieces

    def join(self, parts: Iterable[Part]) -> dict[str, Any]:
        """Return the log group."""
        value: dict[str, Any] = {}
        pieces: dict[str, list[Part]] = {}
        for name, text in parts:
            if not name:
                value = self._rest.join([(name, text)])
            elif name[0] == "s":
                value["streams"][name[1:]] = read(text)
            else:
                number, _, stream = name[1:].partition(":")
                pieces.setdefault(stream, []).append((number, text))
        for name, stream in value["streams"].items():
            kept = Pieces()
            rest = [member for key, member in stream.items() if key != "events"]
            stream["events"] = kept.join(pieces.get(name, []))
            self._streams[name] = stream["events"], len(stream["events"]), rest, kept
        return value


# By state and member; entries of other members are in one row each.
_KINDS: dict[tuple[str, str], type[Entry]] = {
    ("cloudformation", "stack_events"): Pieces,
    ("cloudwatch_logs", "log_groups"): LogGroup,
    ("sqs", "queues"): Queue,
    ("sts", "sessions"): Unchanging,
}


def entry_of(state: str, member: str) -> Entry:
    """Return an entry with nothing on disk.

    :param state: ministack's name for the service's state
    :param member: the part of it
    """
    return _KINDS.get((state, member), Whole)()
