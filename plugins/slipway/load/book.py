"""What the sending processes have reported of a phase, put together by the second."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from slipway.load.result import Second
from slipway.load.tally import Tally


class Book:
    """Adds up what several processes count.

    A second's histograms are kept until every process has reported it: two of them take a third of a megabyte, and a
    run has thousands of seconds.

    :param processes: how many report
    :param instances: gives the endpoint's instances, by variant, as last described
    """

    def __init__(self, processes: int, instances: Callable[[], Mapping[str, int]]) -> None:
        self._instances = instances
        # By process: the last second that it will say nothing more about.
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
        """Add what a process has counted; it reports each second once, one after the other.

        :param process: number of the process, from 0 on
        :param second: since the phase's start
        :param tally: what was counted in it
        :param cpu_share: of its core that the process has used in it
        """
        if second in self._open:
            tally.add(self._open[second][0])
        self._open[second] = tally, self._instances()
        self.cpu_share = max(self.cpu_share, cpu_share)
        self._close(process, second)

    def end(self, process: int) -> None:
        """Wait for no more of a process.

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
