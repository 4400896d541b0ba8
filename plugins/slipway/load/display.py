"""Show a run: one line that changes in a terminal, one line each second elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from slipway.load.engine import Progress
from slipway.load.phases import phase_name, phase_names, phase_to_json
from slipway.load.result import LoadResult
from slipway.load.tally import Tally, milliseconds


class Display:
    """Show a run.

    :param console: where to show it
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Show the progress of a run."""
        line = describe_progress(progress)
        if self._console.is_terminal:
            self._live.update(Text(line))
        else:
            self._console.print(line, soft_wrap=True, highlight=False)

    def report(self, result: LoadResult) -> None:
        """Show the results of a run."""
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("load", "answers", "per second", "p50 ms", "p99 ms", "max ms", "errors", "correct", "variants"):
            table.add_column(column, justify="left" if column in ("load", "variants") else "right")
        names = phase_names([phase.phase for phase in result.phases])
        for name, phase in zip(names, result.phases, strict=True):
            tally = phase.tally
            table.add_row(
                name,
                str(tally.answered),
                f"{phase.rps:.0f}",
                f"{milliseconds(tally.latency, 50):.1f}",
                f"{milliseconds(tally.latency, 99):.1f}",
                f"{milliseconds(tally.latency, 100):.1f}",
                str(tally.errors.total()),
                _percent(tally.right, tally.answered),
                _variants(tally),
            )
        self._console.print(table)
        for name, phase in zip(names, result.phases, strict=True):
            for kind, count in sorted(phase.tally.errors.items()):
                self._console.print(f"{name}: {count} times {kind}", style="red")
            if phase.sender_full:
                self._console.print(
                    f"{name}: a sending process used {phase.cpu_share:.0%} of its core; "
                    "the endpoint may be able to do more",
                    style="yellow",
                )
        if not result.completed:
            self._console.print(f"Not all of the load was sent: {result.ended}", style="yellow")


def describe_progress(progress: Progress) -> str:
    """Return one line about a run.

    :param progress: how far it is
    """
    total = progress.total
    parts = [
        f"phase {progress.number} ({phase_name(phase_to_json(progress.phase))})",
        f"{progress.elapsed_seconds:.0f} s",
    ]
    parts.append(f"{total.answered}/{progress.phase.requests} answered")
    if progress.latest is not None:
        last = progress.latest
        parts += [f"{last.answered}/s", f"p50 {last.p50_ms:.1f} ms", f"p99 {last.p99_ms:.1f} ms"]
    parts += [f"errors {total.errors.total()}", f"correct {_percent(total.right, total.answered)}", _variants(total)]
    if progress.latest is not None and progress.latest.instances:
        parts.append("instances " + " ".join(f"{name} {count}" for name, count in progress.latest.instances.items()))
    return " | ".join(filter(None, parts))


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _variants(tally: Tally) -> str:
    return ", ".join(
        f"{name} {count / tally.answered:.0%}" for name, count in sorted(tally.variants.items()) if tally.answered
    )
