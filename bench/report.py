"""The results of a part of the benchmark: a table, bounds that were kept or missed, and the figures as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Bound:
    """A figure and its limit.

    :param name: what the figure means
    :param value: what was measured
    :param limit: the limit
    :param sign: 1 when the value should be at least the limit, -1 when at most
    """

    name: str
    value: float
    limit: float
    sign: int

    @property
    def kept(self) -> bool:
        """Whether the value is within the limit."""
        return self.sign * (self.value - self.limit) >= 0

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.2f} (at {'least' if self.sign > 0 else 'most'} {self.limit:g})"


@dataclass(frozen=True)
class Part:
    """One part's results.

    :param columns: columns of the table
    :param rows: rows of the table
    :param bounds: the bounds
    :param figures: everything measured, for the JSON report
    :param notes: figures without a bound, printed below the table
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    bounds: Sequence[Bound]
    figures: Any
    notes: Sequence[str] = ()

    @property
    def kept(self) -> bool:
        """Whether every bound is."""
        return all(bound.kept for bound in self.bounds)

    def to_json(self) -> dict[str, Any]:
        """Return the part as the JSON report has it."""
        bounds = [{**vars(bound), "kept": bound.kept} for bound in self.bounds]
        return {"bounds": bounds, "figures": self.figures}

    def print(self, console: Console) -> None:
        """Show the table, the notes and the bounds."""
        table = Table(box=None, header_style="bold", pad_edge=False)
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for note in self.notes:
            console.print(note, highlight=False, soft_wrap=True)
        for bound in self.bounds:
            console.print(f"{'[green]✓[/]' if bound.kept else '[red]✗[/]'} {bound}", highlight=False)
