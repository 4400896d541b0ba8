"""What a part of the benchmark gives: a table, bounds that were kept or missed, and the figures as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Bound:
    """A figure that should be so much.

    :param name: what it says
    :param value: what was measured
    :param limit: what it is held against
    :param sign: 1 when it should be at least the limit, -1 when at most
    """

    name: str
    value: float
    limit: float
    sign: int

    @property
    def kept(self) -> bool:
        """Whether it is what it should be."""
        return self.sign * (self.value - self.limit) >= 0

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.2f} (at {'least' if self.sign > 0 else 'most'} {self.limit:g})"


@dataclass(frozen=True)
class Part:
    """One part's results.

    :param columns: of the table
    :param rows: of the table
    :param bounds: what should hold
    :param figures: everything measured, for the JSON report
    :param notes: figures beside the table that no bound judges
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
        """:returns: the part in the report"""
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
