"""The data of a release: rows of CSV, the label first, in files beside the zip's sources and in S3."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from slipway.command.aws import Aws
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.load.answers import Answers
from slipway.load.errors import UnreadableRows
from slipway.load.objects import data_keys, is_data, s3_lines, text_lines
from slipway.load.rows import parse_row

# As many rows of an object in S3 are read; a file on the disk is read to its end.
_S3_ROWS = 200
_SHAPE_FIX = "write CSV without a header: the label first, then the features, all numbers"


@dataclass(frozen=True)
class Channel:
    """A channel of the training job.

    :param name: such as train
    :param uri: where it is in S3
    :param is_csv: whether it holds CSV, by its content type
    """

    name: str
    uri: str
    is_csv: bool

    @property
    def place(self) -> tuple[str, str]:
        """Its bucket, and the prefix of its keys with a slash at the end."""
        bucket, _, key = self.uri.removeprefix("s3://").partition("/")
        return bucket, key.rstrip("/") + "/" if key else ""


@dataclass(frozen=True)
class Labels:
    """What the labels of a model may be.

    :param answers: what it answers
    :param classes: how many classes it has; None if that is not known
    """

    answers: Answers
    classes: int | None = None

    @property
    def expected(self) -> str | None:
        """Describe a label in words; None if anything may be one."""
        if self.answers is Answers.UNKNOWN:
            return None
        if self.answers in (Answers.NUMBER, Answers.SCORE):
            return "a number"
        if self.classes:
            return f"a whole number from 0 to {self.classes - 1}, because there are {self.classes} classes"
        return "a number from 0 to 1"

    def accept(self, label: str) -> bool:
        """Tell whether a text can be a label."""
        if self.answers is Answers.UNKNOWN:
            return True
        try:
            value = float(label)
        except ValueError:
            return False
        if self.answers in (Answers.NUMBER, Answers.SCORE):
            return math.isfinite(value)
        return value in range(self.classes) if self.classes else 0 <= value <= 1


def local_files(folder: Path) -> dict[str, list[Path]]:
    """Return the data files of each channel, by the names of the folders that they are in."""
    folders = (one for one in sorted(folder.iterdir()) if one.is_dir() and is_data(one.name))
    return {one.name: sorted(filter(_is_data_file, one.iterdir())) for one in folders}


def _is_data_file(path: Path) -> bool:
    return path.is_file() and is_data(path.name)


def problems_of_files(
    files: dict[str, list[Path]], channels: Iterable[Channel], labels: Labels
) -> Iterator[CommandError]:
    """Check the rows of the files on the disk, and that each belongs to a channel."""
    known = {channel.name: channel for channel in channels}
    for name, paths in files.items():
        if name not in known:
            yield CommandError(
                "This data belongs to no channel",
                where=str(paths[0].parent) if paths else f"data/{name}",
                why=f"expected a folder for one of the channels {', '.join(known)}, found {name}",
                fix=f"rename the folder, or add the channel {name} to InputDataConfig in trainingjob.json",
                code=Exit.REFUSED,
            )
        elif known[name].is_csv:
            for path in paths:
                with path.open("rb") as body:
                    lines = ((str(path), line) for line in text_lines(body, str(path)))
                    yield from _first_problem(lines, labels, str(path))


@dataclass(frozen=True)
class Place:
    """Where rows must be in S3 before a release.

    :param what: the channel or the field that names it
    """

    what: str
    uri: str
    is_csv: bool


def places_in_s3(channels: Iterable[Channel], test_data: str, local: Iterable[str]) -> list[Place]:
    """Return the places that need data in S3 now: those that no files beside the sources are uploaded to.

    :param test_data: the model file's test.data
    :param local: the channels whose data is beside the sources and is uploaded with the zip
    """
    named = {channel.name: channel for channel in channels}
    uploaded = [named[name].uri.rstrip("/") + "/" for name in local if name in named]
    places = [Place(f"channel {name}", one.uri, one.is_csv) for name, one in named.items() if name not in local]
    if not any(f"{test_data.rstrip('/')}/".startswith(place) for place in uploaded):
        places.append(Place("test.data of the model file", test_data, is_csv=True))
    return places


def problems_in_s3(aws: Aws, places: Iterable[Place], labels: Labels) -> Iterator[CommandError]:
    """Check that each place has data."""
    s3 = aws.client("s3")
    for place in places:
        yield from _of_place(aws, s3, place.uri, labels if place.is_csv else None, place.what)


def _of_place(aws: Aws, s3: Any, uri: str, labels: Labels | None, what: str) -> Iterator[CommandError]:
    bucket, _, place = uri.removeprefix("s3://").partition("/")
    reading: Callable[[str], AbstractContextManager[None]] = partial(aws.calling, "Cannot read the data")
    try:
        with aws.calling("Cannot list the data", uri):
            if next(data_keys(s3, bucket, place), None) is None:
                yield CommandError(
                    "There is no data",
                    where=f"{uri} ({what})",
                    why="expected at least one object with rows, found none; empty and hidden objects are passed over",
                    fix="upload the data, put it into data/CHANNEL beside trainingjob.json, or correct the address",
                    code=Exit.REFUSED,
                )
            elif labels:
                yield from _first_problem(islice(s3_lines(s3, bucket, place, reading), _S3_ROWS), labels, uri)
    except CommandError as error:
        yield error


def _first_problem(lines: Iterable[tuple[str, str]], labels: Labels, source: str) -> Iterator[CommandError]:
    """Find the first row that is wrong; with one wrong row, most are."""
    columns: dict[str, int] = {}
    numbers: dict[str, int] = {}
    try:
        for where, line in lines:
            numbers[where] = number = numbers.get(where, 0) + 1
            row = parse_row(line, where)
            if (expected := labels.expected) and not labels.accept(row.label):
                found = f"expected {expected}, found {row.label[:40]!r}"
                header = number == 1 and not _is_number(row.label)
                yield _row_error(where, number, f"field label: {found}", "remove the header" if header else _SHAPE_FIX)
                return
            wanted = columns.setdefault(where, row.features.count(",") + 1)
            if row.features.count(",") + 1 != wanted:
                why = f"field features: expected {wanted} as in row 1, found {row.features.count(',') + 1}"
                yield _row_error(where, number, why, "give each row the same number of features")
                return
    except UnreadableRows as error:
        yield _row_error(error.where, numbers.get(error.where, 0), error.why, _SHAPE_FIX)
        return
    if not numbers:
        yield _row_error(source, 0, "expected rows, found an empty file", _SHAPE_FIX)


def _row_error(where: str, number: int, why: str, fix: str) -> CommandError:
    place = f"{where}, row {number}" if number else where
    return CommandError("The data cannot be used", where=place, why=why, fix=fix, code=Exit.REFUSED)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
