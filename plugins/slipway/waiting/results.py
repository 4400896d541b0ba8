"""How a wait ends, and the pauses between two looks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from airflow.sdk.configuration import conf
from airflow.triggers.base import TriggerEvent

from slipway.errors import AwsError

BACKOFF_LIMIT_SECONDS = 60.0
# The executors with which a task may be resumed at any time (docs/decisions.md, 71 and 104). By their names: the
# classes would load Airflow's executors.
EXECUTOR = "slipway.host.executor.DeferringLocalExecutor"
CELERY_EXECUTORS = ("CeleryExecutor", "airflow.providers.celery.executors.celery_executor.CeleryExecutor")
FIRST_PAUSE_SECONDS = 1.0
# Between the looks of a task that has not waited yet. Together they are about what the process of a resumed task takes.
SOON_PAUSES_SECONDS = (0.1, 0.1, 0.1, 0.15, 0.15)
# For an answer of AWS that has no fix of its own.
REFUSED_FIX = "correct what the answer names, in the IAM policy or the model file; then clear this task"


class WaitOutcome(StrEnum):
    """How a wait ended."""

    REACHED = "reached"
    FAILED = "failed"
    TIMEOUT = "timeout"
    REFUSED = "refused"


@dataclass(frozen=True)
class WaitResult:
    """The result that a trigger passes to its operator.

    :param outcome: success state reached, failure state reached, deadline passed, or AWS refused to answer
    :param status: the last state of the resource
    :param reason: AWS's reason for it, or the last error
    :param fix: what to do about the last error
    """

    outcome: WaitOutcome
    status: str = ""
    reason: str = ""
    fix: str = ""

    def to_event(self) -> TriggerEvent:
        """Return the event that carries this result to the operator."""
        return TriggerEvent(asdict(self))

    @classmethod
    def from_event(cls, event: dict[str, Any] | None) -> WaitResult:
        """Read the payload that the operator was resumed with."""
        if event is None:
            raise ValueError("the trigger resumed the task without an event")
        return cls(WaitOutcome(event["outcome"]), event["status"], event["reason"], event.get("fix", ""))

    def refused(self, what: str, resource: str) -> AwsError:
        """Build the error of a wait that AWS refused.

        :param what: what was being done, as a clause
        :param resource: what was waited for
        """
        return AwsError(what, resource=resource, why=self.reason, fix=self.fix or REFUSED_FIX)


def backoff_seconds(
    errors_in_a_row: int, *, base_seconds: float, limit_seconds: float = BACKOFF_LIMIT_SECONDS
) -> float:
    """Compute an exponential back-off with full jitter, so that many waiters do not retry at the same moment.

    https://docs.aws.amazon.com/general/latest/gr/api-retries.html

    :param errors_in_a_row: 1 after the first error
    :param base_seconds: the bound of the first wait; each further error doubles it
    :param limit_seconds: the longest wait
    :returns: seconds to wait, at least a tenth of the bound
    """
    bound = min(limit_seconds, base_seconds * 2 ** min(errors_in_a_row - 1, 16))
    return random.uniform(bound / 10, bound)


def first_look_time() -> float:
    """Return when a trigger that a task makes now may look for the first time; the task has just looked.

    Other executors know the process that deferred and the one that resumes by one key. A task that is resumed before
    the first process's end was reported may count as killed. Airflow's worker checks at this interval whether its
    task's process has ended (5 s by default,
    https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html#min-heartbeat-interval).

    :returns: seconds since the epoch
    """
    return time.time() + _first_pause_seconds()


def _first_pause_seconds() -> float:
    if conf.get("core", "executor") in (EXECUTOR, *CELERY_EXECUTORS):
        return FIRST_PAUSE_SECONDS
    return 2 * conf.getfloat("workers", "min_heartbeat_interval")


async def sleep_until_first_look(when: float) -> None:
    """Wait in the triggerer, never longer than the pause: its clock may differ from the worker's.

    :param when: seconds since the epoch
    """
    await asyncio.sleep(max(0.0, min(when - time.time(), _first_pause_seconds())))


def soon(is_over: Callable[[], bool]) -> bool:
    """Look for a moment whether something is over, on a worker, before the task is deferred.

    Only where the task has not waited yet: if AWS has needed a wait for one thing, it will for the next.

    :param is_over: looks
    :returns: False where it takes longer
    """
    for pause_seconds in SOON_PAUSES_SECONDS:
        time.sleep(pause_seconds)
        if is_over():
            return True
    return False


def pauses(poll_seconds: float) -> Iterator[float]:
    """Poll often at first, because many waits are short: an end is seen before the wait is half as long again.

    :param poll_seconds: the longest pause
    :returns: the pauses after each look, in seconds, without end
    """
    pause = FIRST_PAUSE_SECONDS / 2
    while True:
        yield min(pause, poll_seconds)
        pause = min(pause * 1.5, poll_seconds)
