"""Read what a run took from Airflow's event log: worker time, waits, and the time of neither AWS nor a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Span = tuple[float, float]
# In Airflow's home: what each process of a task took, as JSON lines.
PROCESSES = "task_processes.jsonl"
RUNNING, DEFERRED = "running", "deferred"
# How a task waits for a person: by a trigger, or, for Airflow's own operators, without one.
PERSON_WAITS = (DEFERRED, "awaiting_input")
# The events when a task's process ends, finally or not.
_ENDS = {*PERSON_WAITS, "success", "failed", "skipped", "up_for_retry", "up_for_reschedule"}


@dataclass(frozen=True)
class RunCost:
    """What one run took.

    :param wall_seconds: from its start to its end
    :param aws_seconds: time in which a job, a stack, an endpoint or a call was in progress
    :param person_seconds: time in which the run only waited for a person
    :param slot_seconds: worker-slot seconds
    :param waits: how often each task waited by a trigger
    :param calls: AWS calls, without polls of the intake and the reaper
    :param slept_seconds: time in which the empty DAG's tasks slept instead of waiting for AWS and a person
    :param noticed_seconds: from the upload to the start of the run; None for a run without an upload
    :param processes: the CPU seconds of each process of a task, by task
    :param supervisor_seconds: the CPU seconds of the workers that started these processes
    """

    wall_seconds: float
    aws_seconds: float
    person_seconds: float
    slot_seconds: float
    waits: Mapping[str, int] = field(default_factory=dict)
    calls: int = 0
    slept_seconds: float = 0.0
    noticed_seconds: float | None = None
    processes: Mapping[str, Sequence[float]] = field(default_factory=dict)
    supervisor_seconds: float = 0.0

    @property
    def overhead_seconds(self) -> float:
        """The rest: Airflow's share, the time between polls, and the tasks' own work."""
        return self.wall_seconds - self.aws_seconds - self.person_seconds

    @property
    def awake_seconds(self) -> float:
        """The time of an empty DAG without its sleep."""
        return self.wall_seconds - self.slept_seconds

    @property
    def transition_seconds(self) -> float:
        """The CPU time of one task transition, which is a process of a task: its own and its worker's."""
        own = [seconds for each in self.processes.values() for seconds in each]
        return (sum(own) + self.supervisor_seconds) / max(1, len(own))


def seconds(text: str) -> float:
    """Parse a time as Airflow's API and the ledger write it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def slot_seconds(events: Iterable[Mapping[str, Any]]) -> float:
    """Add up the time in which a worker ran a task.

    :param events: the events of a run in the order of time, each with ``event``, ``task_id`` and ``when``
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
    """Return how many seconds of a period are covered by spans.

    :param spans: may overlap
    :param within: the period
    """
    total, reached = 0.0, within[0]
    for begin, end in sorted(spans):
        begin, end = max(begin, reached), min(end, within[1])
        if end > begin:
            total += end - begin
            reached = end
    return total
