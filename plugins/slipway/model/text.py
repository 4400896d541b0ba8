"""The text of a model file: read within limits, and parsed as YAML without tags and dates."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from slipway.errors import ModelFileError
from slipway.validation import shown_name

MAX_BYTES = 256 * 1024
# As in a zip's JSON: a thousand times what a model needs.
MAX_VALUES = 5000
MAX_LEVELS = 20
_NUMBER_MAX_CHARS = 40
# The largest whole number of a database column, and of msgpack, which Airflow's processes use.
_INT_LIMIT = 2**63
# Not possible in PostgreSQL, JSON or on a screen: control characters except tab and line feed, and surrogates.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_TAG = "tag:yaml.org,2002:"
# libyaml needs a tenth of the time.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_resolver, _constructor = yaml.resolver.Resolver(), yaml.constructor.SafeConstructor()
_CONSTRUCT = {
    f"{_TAG}null": _constructor.construct_yaml_null,
    f"{_TAG}bool": _constructor.construct_yaml_bool,
    f"{_TAG}int": _constructor.construct_yaml_int,
    f"{_TAG}float": _constructor.construct_yaml_float,
}


def read_text(path: Path) -> str:
    """Read a regular file of limited size: reading a FIFO would wait, and a device has no end.

    :param path: the file
    :raises ModelFileError: when it cannot be read, is too large, or is not UTF-8
    """
    try:
        # O_NONBLOCK has no effect on files. https://man7.org/linux/man-pages/man7/fifo.7.html
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unreadable(path, "it is no regular file")
            with open(descriptor, "rb", closefd=False) as file:
                # One byte more, to notice a file that is too large.
                data = file.read(MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if len(data) > MAX_BYTES:
        raise _unreadable(path, f"it has more than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(path, f"line {line} is not UTF-8") from error


def _unreadable(path: Path, why: str) -> ModelFileError:
    return ModelFileError(
        "Cannot read the model file",
        resource=shown_name(path.name),
        why=why,
        fix=f"save it as a UTF-8 text file of at most {MAX_BYTES} bytes that Airflow's user may read",
    )


def parse(text: str, name: str) -> Any:
    """Parse a text as YAML: mappings with text as keys, lists, text, numbers, true, false and null.

    Built from the parser's events, so that limits are checked before anything is built, without recursion.
    https://yaml.org/spec/1.1/#id861435

    :param text: one document
    :param name: the file's name, for messages
    :returns: plain Python values
    :raises ModelFileError: with line and column
    """
    try:
        return _Builder().build(_without_aliases(yaml.parse(text, Loader=_LOADER)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        why = where + " ".join(filter(None, (error.context, error.problem)))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, text.find(chr(error.character))) + 1
        why = f"line {line}: the character U+{error.character:04X} is not allowed"
    raise ModelFileError(
        "The model file is not valid YAML",
        resource=name,
        why=why,
        fix="correct the line it names; placeholders such as {account} need quotes at the start of a value",
    )


def _without_aliases(events: Iterator[Any]) -> Iterator[Any]:
    """Replace each alias by the events of its anchor, so that limits count them each time."""
    known: dict[str, list[Any]] = {}
    # The anchored values being read, the innermost last.
    reading: list[_Anchored] = []
    for event in events:
        replayed = [event]
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in known:
                _refuse(event, f"the alias *{event.anchor} is undefined, or refers to a value that contains it")
            replayed = known[event.anchor]
        elif isinstance(event, yaml.NodeEvent) and event.anchor:
            reading.append(_Anchored(event.anchor))
        for one in replayed:
            yield one
            for anchored in reading:
                anchored.events.append(one)
                anchored.levels += isinstance(one, yaml.CollectionStartEvent)
                anchored.levels -= isinstance(one, yaml.CollectionEndEvent)
        while reading and reading[-1].levels == 0:
            done = reading.pop()
            known[done.name] = done.events


@dataclass
class _Anchored:
    """The events of a value that has an anchor, and how many of its collections are open."""

    name: str
    events: list[Any] = field(default_factory=list)
    levels: int = 0


class _Builder:
    """Builds plain values from the events of one document."""

    def __init__(self) -> None:
        self._documents: list[Any] = []
        # Open lists and mappings, the innermost last, each with the key whose value comes next.
        self._open: list[tuple[list[Any] | dict[str, Any], list[str]]] = [(self._documents, [])]
        self._values = 0

    def build(self, events: Iterator[Any]) -> Any:
        """Return the document's value."""
        for event in events:
            match event:
                case yaml.ScalarEvent() | yaml.CollectionStartEvent() if event.tag is not None:
                    _refuse(event, f"the tag {event.tag} is not allowed: remove it")
                case yaml.ScalarEvent():
                    self._add_scalar(event)
                case yaml.SequenceStartEvent():
                    self._start([], event)
                case yaml.MappingStartEvent():
                    self._start({}, event)
                case yaml.CollectionEndEvent():
                    self._open.pop()
        return self._documents[0] if self._documents else None

    def _start(self, collection: list[Any] | dict[str, Any], event: Any) -> None:
        if len(self._open) > MAX_LEVELS:
            _refuse(event, f"more than {MAX_LEVELS} levels")
        self._add(collection, event)
        self._open.append((collection, []))

    def _add_scalar(self, event: Any) -> None:
        if found := _FORBIDDEN.search(event.value):
            _refuse(event, f"the character U+{ord(found[0]):04X} is not allowed in a text")
        self._add(_scalar(event), event)

    def _add(self, value: Any, event: Any) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            _refuse(event, f"more than {MAX_VALUES} values")
        parent, key = self._open[-1]
        if isinstance(parent, list):
            if parent is self._documents and parent:
                _refuse(event, "a second document in one file")
            parent.append(value)
        elif key:
            parent[key.pop()] = value
        elif not isinstance(value, str):
            _refuse(event, "a key that is not text: put it in quotes")
        elif value in parent:
            _refuse(event, f"the key {value[:60]!a} appears twice")
        else:
            key.append(value)


def _scalar(event: Any) -> Any:
    # Dates, binary data and merge keys stay text: no field needs them.
    construct = _CONSTRUCT.get(_resolver.resolve(yaml.ScalarNode, event.value, event.implicit))
    if construct is None:
        return event.value
    if len(event.value) > _NUMBER_MAX_CHARS:
        _refuse(event, f"a number of more than {_NUMBER_MAX_CHARS} characters")
    try:
        value = construct(yaml.ScalarNode("", event.value))
    except ValueError as error:
        _refuse(event, f"{shown_name(event.value)} is not a number: {error}")
    if isinstance(value, int) and not -_INT_LIMIT <= value < _INT_LIMIT:
        _refuse(event, f"a whole number of more than 64 bits, {shown_name(event.value)}")
    return value


def _refuse(event: Any, problem: str) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
