"""A person's table as training data: the label first and a number, no header, and a part of the rows held out."""

from __future__ import annotations

import csv
import io
import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.command.errors import CommandError
from slipway.command.exits import Exit

# A whole-number label with no more values than this is taken for classes.
MAX_CLASSES = 20
# The same file gives the same split.
_SEED = 0


@dataclass(frozen=True)
class Table:
    """A CSV file as it is.

    :param columns: their names; numbers from 1 on without a header
    """

    path: Path
    columns: list[str]
    rows: list[list[str]]

    def index(self, column: str) -> int:
        """Return the place of a column, by name or by number from 1 on.

        :raises CommandError: when there is none
        """
        if column in self.columns:
            return self.columns.index(column)
        if column.isdecimal() and 1 <= int(column) <= len(self.columns):
            return int(column) - 1
        raise _wrong(
            self.path,
            f"expected one of the columns {', '.join(self.columns)}, found {column}",
            "name a column as the header does, or by its number",
        )


@dataclass(frozen=True)
class Prepared:
    """A table as SageMaker's built-in algorithms take it.

    https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html

    :param classes: the labels as they were, by the number that stands for each; empty for numbers
    :param features: the names of the other columns
    """

    train: list[list[str]]
    held_out: list[list[str]]
    classes: list[str]
    features: list[str]

    @property
    def objective(self) -> str:
        """XGBoost's objective for such labels."""
        if not self.classes:
            return "reg:squarederror"
        return "binary:logistic" if len(self.classes) == 2 else "multi:softmax"

    @property
    def most_frequent(self) -> float:
        """The accuracy of always answering the most frequent class, for the held-out rows."""
        counts = Counter(row[0] for row in self.held_out)
        return max(counts.values()) / len(self.held_out)

    @property
    def spread(self) -> float:
        """The rmse of always answering the mean, for the held-out rows."""
        values = [float(row[0]) for row in self.held_out]
        mean = math.fsum(values) / len(values)
        return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def read_table(path: Path) -> Table:
    """Read a CSV file, with or without a header, separated by commas, semicolons or tabs.

    :raises CommandError: when it is no table
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CommandError(
            "The data cannot be read",
            where=str(path),
            why=error.strerror or str(error),
            fix="name a CSV file",
            code=Exit.NOT_FOUND,
        ) from error
    except UnicodeDecodeError as error:
        why = f"expected text in UTF-8, found another encoding ({error.reason})"
        raise _wrong(path, why, "save it in UTF-8") from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    if len(rows) < 3 or len(rows[0]) < 2:
        why = f"expected a table with a label, a feature and some rows, found {len(rows)} rows"
        raise _wrong(path, why, "give CSV with a line for each example")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            why = f"row {number}: expected {len(rows[0])} columns as in row 1, found {len(row)}"
            raise _wrong(path, why, "give each row the same columns, and quote texts that contain the separator")
    if _has_header(rows):
        if repeated := [name for name, count in Counter(rows[0]).items() if count > 1]:
            raise _wrong(path, f"expected a name for each column, found {repeated[0]!r} twice", "rename one of them")
        return Table(path, rows[0], rows[1:])
    return Table(path, [str(number) for number in range(1, len(rows[0]) + 1)], rows)


def prepare(table: Table, label: str, drop: Sequence[str], share: float) -> Prepared:
    """Make training data of a table.

    :param label: the column to predict, by name or number
    :param drop: columns to leave out
    :param share: how much of the rows is held out
    :raises CommandError: when a feature is no number, or the labels cannot be learnt
    """
    place = table.index(label)
    dropped = {table.index(one) for one in drop}
    kept = [index for index in range(len(table.columns)) if index != place and index not in dropped]
    for number, row in enumerate(table.rows, start=1):
        for index in kept:
            if row[index] and not _is_finite(row[index]):
                name = table.columns[index]
                why = f"column {name}, row {number}: expected a number or nothing, found {row[index][:40]!r}"
                raise _wrong(table.path, why, f"leave the column out: --drop {name}; or write numbers for its values")
        if not row[place]:
            why = f"column {table.columns[place]}, row {number}: expected a label, found nothing"
            raise _wrong(table.path, why, "remove the row, or write its label")
    classes = _classes([row[place] for row in table.rows])
    if len(classes) == 1:
        why = f"column {table.columns[place]}: expected at least two different labels, found only {classes[0]!r}"
        raise _wrong(table.path, why, "choose another column: --label NAME")
    numbers = {text: str(number) for number, text in enumerate(classes)}
    rows = [[numbers.get(row[place], row[place]), *(row[index] for index in kept)] for row in table.rows]
    train, held_out = _split(rows, share, by_class=bool(classes))
    return Prepared(train, held_out, classes, [table.columns[index] for index in kept])


def to_csv(rows: Sequence[Sequence[str]]) -> str:
    """Write rows without a header."""
    return "".join(",".join(row) + "\n" for row in rows)


def _classes(labels: Sequence[str]) -> list[str]:
    """Return the different labels in order, if they are classes; nothing for numbers."""
    different = set(labels)
    if all(map(_is_finite, different)):
        whole = all(float(label).is_integer() for label in different)
        return sorted(different, key=float) if whole and len(different) <= MAX_CLASSES else []
    return sorted(different)


def _split(rows: list[list[str]], share: float, *, by_class: bool) -> tuple[list[list[str]], list[list[str]]]:
    """Shuffle and split rows; of each class the same share is held out, and at least one row of two."""
    groups = defaultdict(list)
    for row in rows:
        groups[row[0] if by_class else ""].append(row)
    chance = random.Random(_SEED)
    train, held_out = [], []
    for _, group in sorted(groups.items()):
        chance.shuffle(group)
        count = min(max(1, round(len(group) * share)), len(group) - 1)
        held_out += group[:count]
        train += group[count:]
    chance.shuffle(train)
    chance.shuffle(held_out)
    return train, held_out


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row is names: it has no number, or a text where the rows below have numbers."""
    first = rows[0]
    if not any(map(_is_finite, first)):
        return any(any(_is_finite(row[index]) for row in rows[1:]) for index in range(len(first)))
    return any(
        not _is_finite(first[index]) and all(_is_finite(row[index]) for row in rows[1:] if row[index])
        for index in range(len(first))
        if any(row[index] for row in rows[1:])
    )


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _wrong(path: Path, why: str, fix: str) -> CommandError:
    return CommandError("The data cannot be used", where=str(path), why=why, fix=fix, code=Exit.REFUSED)
