"""What a run took, read from Airflow's event log: workers' time, waits, and what neither AWS nor a person took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Span = tuple[float, float]
RUNNING, DEFERRED = "running", "deferred"
# How a task waits for a person: by a trigger, or Airflow's own operators without one.
PERSON_WAITS = (DEFERRED, "awaiting_input")
# What a task's process says when it ends, for now or for good.
_ENDS = {*PERSON_WAITS, "success", "failed", "skipped", "up_for_retry", "up_for_reschedule"}


@dataclass(frozen=True)
class RunCost:
    """One run.

    :param wall_seconds: from its start to its end
    :param aws_seconds: of it in which a job, a stack or an endpoint was under way
    :param person_seconds: of it in which only a person was waited for
    :param slot_seconds: of workers
    :param waits: how often each task waited by a trigger
    :param calls: of AWS, without the watchers' polls
    :param slept_seconds: of it in which an empty DAG's tasks slept in the place of AWS and of a person
    :param noticed_seconds: before its start, since the upload was there; None for a run that no upload starts
    """

    wall_seconds: float
    aws_seconds: float
    person_seconds: float
    slot_seconds: float
    waits: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0
    slept_seconds: float = 0.0
    noticed_seconds: float | None = None

    @property
    def overhead_seconds(self) -> float:
        """What is left: Airflow's share, the time between polls, and the tasks' own work."""
        return self.wall_seconds - self.aws_seconds - self.person_seconds

    @property
    def awake_seconds(self) -> float:
        """What an empty DAG takes beside its sleep."""
        return self.wall_seconds - self.slept_seconds


def seconds(text: str) -> float:
    """Read a time as Airflow's API and the ledger write it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def slot_seconds(events: Iterable[Mapping[str, Any]]) -> float:
    """Add up the time in which a worker had a task.

    :param events: of one run, in the order of time; each with ``event``, ``task_id`` and ``when``
    """
    started: dict[str, float] = {}
    total = 0.0
    for event in events:
        if event["event"] == RUNNING:
            started[event["task_id"]] = seconds(event["when"])
        elif event["event"] in _ENDS and event["task_id"] in started:
            total += seconds(event["when"]) - started.pop(event["task_id"])
    return total


def waits(events: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Count how often each task waited by a trigger."""
    return dict(Counter(event["task_id"] for event in events if event["event"] == DEFERRED))


def covered(spans: Iterable[Span], within: Span) -> float:
    """Measure how much of a time is covered.

    :param spans: they may overlap
    :param within: the time
    """
    total, reached = 0.0, within[0]
    for begin, end in sorted(spans):
        begin, end = max(begin, reached), min(end, within[1])
        if end > begin:
            total += end - begin
            reached = end
    return total
