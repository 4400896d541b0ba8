"""Show the progress of several parts: live in a terminal, one line per change elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text


class Progress:
    """A list of named parts, each with a state; shown after the first change."""

    def __init__(self, console: Console, names: list[str]) -> None:
        self._console = console
        self._states = dict.fromkeys(names, "waiting")
        self._finished: dict[str, float] = {}
        self._begun = time.monotonic()
        self._spinner = Spinner("dots")
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=8, transient=False)

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def update(self, name: str, state: str, done: bool = False) -> None:
        """Set the state of a part; a finished part shows the seconds it took."""
        if done and name not in self._finished:
            self._finished[name] = time.monotonic() - self._begun
        if not done:
            self._finished.pop(name, None)
        if self._states.get(name) != state:
            self._states[name] = state
            if not self._console.is_terminal:
                self._console.print(f"{time.monotonic() - self._begun:5.0f} s  {name}: {state}")

    def _render(self) -> RenderableType:
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
        for name, state in self._states.items():
            finished = self._finished.get(name)
            mark: RenderableType = self._spinner if finished is None else Text("✓", style="green")
            seconds = "" if finished is None else f"{finished:.0f} s"
            table.add_row(mark, name, Text(state, style="dim" if finished is None else "green"), seconds)
        return Group(table)
