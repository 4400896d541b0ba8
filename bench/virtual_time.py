"""An event loop whose clock jumps to the next timer whenever nothing else is under way.

So triggers that wait for an hour make all their looks in the time that these take, in the order of an hour.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")
# How long to wait for a request or a thread before looking again whether one has ended.
_BUSY_SECONDS = 0.05


class _Selector(selectors.DefaultSelector):
    """Waits for a file only while something is under way; otherwise the clock jumps."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if ready := super().select(0):
            return ready
        if self._loop.under_way:
            return super().select(_BUSY_SECONDS if timeout is None else min(timeout, _BUSY_SECONDS) or 0)
        if timeout:
            self._loop.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; time passes only while every coroutine sleeps.

    A thread, and what is done within `busy`, count as being under way; nothing else may wait for the outside.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.under_way = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self.now

    def run_in_executor(self, executor: Any, func: Any, *arguments: Any) -> Any:  # type: ignore[override]
        """Run in a thread, while the clock stands."""
        self.under_way += 1
        future = super().run_in_executor(executor, func, *arguments)
        future.add_done_callback(lambda _: self._ended())
        return future

    def _ended(self) -> None:
        self.under_way -= 1

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let the clock stand while something is awaited."""
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in virtual time, by which `time.time` and `time.monotonic` go too."""
    loop = VirtualLoop()
    wall, monotonic = time.time, time.monotonic
    began_wall, began_monotonic = wall(), monotonic()
    time.time, time.monotonic = (lambda: began_wall + loop.now), (lambda: began_monotonic + loop.now)
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(main)
    finally:
        time.time, time.monotonic = wall, monotonic
