"""Finds a training job's metrics in its log, in its own process, because the expressions are the caller's.

A match in Python blocks its process until it ends, and some expressions take years for a line. Here the kernel's timer
ends a match that takes too long, and its metric is given up. Run it as ``python -I -S metric_matcher.py``; the first
line of the input is a JSON list of name and expression, the others are the log. The last line of the output is JSON.
"""

from __future__ import annotations

import json
import math
import re
import resource
import signal
import sys
import time
from typing import Any

# CPU time for one line and for all lines. An expression that reads a line once takes microseconds for it.
LINE_SECONDS = 0.1
METRIC_SECONDS = 2.0
# How much of a line is searched; CloudWatch Logs allows longer ones.
_MAX_LINE = 16 * 1024
# Limits of the whole process: 40 metrics may take 80 s of CPU, and no expression needs much memory.
_MAX_CPU_SECONDS = 120
_MAX_MEMORY_BYTES = 512 * 1024 * 1024


class _MetricTooSlow(Exception):
    """The timer expired."""


class _Metric:
    """One metric: the expression that finds it, its last value, each second's values, and why it was given up."""

    def __init__(self, name: str, expression: str) -> None:
        self.name = name
        self.found: tuple[float, float] | None = None
        # Second → how many values, their sum, the least and the greatest: a log has more lines than seconds.
        self.seconds: dict[int, tuple[int, float, float, float]] = {}
        self.given_up: str | None = None
        self._seconds = 0.0
        self._pattern: re.Pattern[str] | None = None
        try:
            self._pattern = _timed(re.compile, expression)
        except (re.error, OverflowError, RecursionError, MemoryError) as error:
            self.given_up = f"is no regular expression: {error or type(error).__name__}"
        except _MetricTooSlow:
            self.given_up = "takes too long to read"

    def read(self, line: str) -> None:
        """Look for the metric in a line."""
        pattern = self._pattern
        if pattern is None or self.given_up:
            return
        began = time.process_time()
        try:
            match = _timed(pattern.search, line)
        except (_MetricTooSlow, RecursionError, MemoryError):
            self.given_up = f"takes more than {LINE_SECONDS:g} s for a line of the log"
            return
        self._seconds += time.process_time() - began
        if self._seconds > METRIC_SECONDS:
            self.given_up = f"takes more than {METRIC_SECONDS:g} s for the log so far"
        if match and pattern.groups:
            try:
                value, when = float(match[1]), time.time()
            except (TypeError, ValueError):
                # The group matched nothing, or no number.
                return
            self.found = value, when
            if math.isfinite(value):
                count, total, least, most = self.seconds.get(int(when), (0, 0.0, value, value))
                self.seconds[int(when)] = count + 1, total + value, min(least, value), max(most, value)


def _timed(call: Any, argument: str) -> Any:
    """Call with a limit of CPU time; Python handles signals while it matches."""
    signal.setitimer(signal.ITIMER_VIRTUAL, LINE_SECONDS)
    try:
        return call(argument)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _too_slow(*_: Any) -> None:
    raise _MetricTooSlow


def main() -> None:
    """Read definitions and log, and write what was found at the end of the log."""
    resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_SECONDS, _MAX_CPU_SECONDS))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    # A stop from the terminal is for the local AWS, which then ends the log.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGVTALRM, _too_slow)
    lines = sys.stdin
    metrics = [_Metric(name, expression) for name, expression in json.loads(lines.readline())]
    for line in lines:
        for metric in metrics:
            metric.read(line.rstrip("\n")[:_MAX_LINE])
    answer = {
        "found": {metric.name: metric.found for metric in metrics if metric.found and not metric.given_up},
        "given_up": {metric.name: metric.given_up for metric in metrics if metric.given_up},
        "seconds": {metric.name: metric.seconds for metric in metrics if metric.seconds and not metric.given_up},
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
