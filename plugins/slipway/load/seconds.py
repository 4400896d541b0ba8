"""Add up, second by second, what the sending processes report about a phase."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from slipway.load.result import Second
from slipway.load.tally import Tally


class Book:
    """Add up the counts of several processes.

    The histograms of a second are dropped once every process has reported it: two of them take a third of a megabyte,
    and a run has thousands of seconds.

    :param processes: how many report
    :param instances: returns the endpoint's instances by variant, as last described
    """

    def __init__(self, processes: int, instances: Callable[[], Mapping[str, int]]) -> None:
        self._instances = instances
        # By process: the last second that it has reported.
        self._reported = dict.fromkeys(range(processes), -1.0)
        self._open: dict[int, tuple[Tally, Mapping[str, int]]] = {}
        self.seconds: list[Second] = []
        self.total = Tally()
        self.cpu_share = 0.0

    @property
    def latest(self) -> Second | None:
        """The last second that every process has reported, or None in the first."""
        return self.seconds[-1] if self.seconds else None

    def note(self, process: int, second: int, tally: Tally, cpu_share: float) -> None:
        """Add the counts of a process, which reports each second once and in order.

        :param process: number of the process, from 0 on
        :param second: since the phase's start
        :param tally: what was counted in it
        :param cpu_share: the share of its core that the process used in it
        """
        if second in self._open:
            tally.add(self._open[second][0])
        self._open[second] = tally, self._instances()
        self.cpu_share = max(self.cpu_share, cpu_share)
        self._close(process, second)

    def end(self, process: int) -> None:
        """Expect no more reports from a process.

        :param process: number of the process, from 0 on
        """
        self._close(process, math.inf)

    def _close(self, process: int, reported: float) -> None:
        self._reported[process] = reported
        complete = min(self._reported.values())
        for second in sorted(second for second in self._open if second <= complete):
            tally, instances = self._open.pop(second)
            self.total.add(tally)
            self.seconds.append(Second.of(second, tally, instances))
