"""How a wait ends, and the pauses between two looks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from airflow.sdk.configuration import conf
from airflow.triggers.base import TriggerEvent

BACKOFF_LIMIT_SECONDS = 60.0


class WaitOutcome(StrEnum):
    """How a wait ended."""

    REACHED = "reached"
    FAILED = "failed"
    TIMEOUT = "timeout"
    REFUSED = "refused"


@dataclass(frozen=True)
class WaitResult:
    """What a trigger tells the operator that deferred to it.

    :param outcome: success state reached, failure state reached, deadline passed, or AWS refused to answer
    :param status: the last state seen, in AWS's words
    :param reason: AWS's reason for it, or of the last error
    """

    outcome: WaitOutcome
    status: str = ""
    reason: str = ""

    def to_event(self) -> TriggerEvent:
        """:returns: the event that carries this result to the operator"""
        return TriggerEvent(asdict(self))

    @classmethod
    def from_event(cls, event: dict[str, Any] | None) -> WaitResult:
        """:param event: the payload that the operator was resumed with"""
        if event is None:
            raise ValueError("the trigger resumed the task without an event")
        return cls(WaitOutcome(event["outcome"]), event["status"], event["reason"])


def backoff_seconds(
    errors_in_a_row: int, *, base_seconds: float, limit_seconds: float = BACKOFF_LIMIT_SECONDS
) -> float:
    """Exponential back-off with full jitter, so that many waiters do not come back at once.

    https://docs.aws.amazon.com/general/latest/gr/api-retries.html

    :param errors_in_a_row: 1 after the first error
    :param base_seconds: the bound of the first wait; each further error doubles it
    :param limit_seconds: the longest wait
    :returns: seconds to wait, at least a tenth of the bound
    """
    bound = min(limit_seconds, base_seconds * 2 ** min(errors_in_a_row - 1, 16))
    return random.uniform(bound / 10, bound)


def first_look_time() -> float:
    """When a trigger that is made now, in the task that defers, may look for the first time; the task has just looked.

    A task resumed before the process that deferred it has ended is taken by LocalExecutor for a killed one, because
    both are known to it by one key. Airflow's worker looks for the end of its task's process at this interval (5 s by
    default, https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html#min-heartbeat-interval).

    :returns: seconds since the epoch
    """
    return time.time() + _first_pause_seconds()


def _first_pause_seconds() -> float:
    return 2 * conf.getfloat("workers", "min_heartbeat_interval")


async def sleep_until_first_look(when: float) -> None:
    """Wait in the triggerer; never longer than the pause, for its clock may not be the worker's.

    :param when: seconds since the epoch
    """
    await asyncio.sleep(max(0.0, min(when - time.time(), _first_pause_seconds())))


def pauses(poll_seconds: float) -> Iterator[float]:
    """Look often at first, because much of what is waited for is over soon.

    :param poll_seconds: the longest pause
    :returns: how long to wait after each look, in seconds; without end
    """
    pause = 2.0
    while True:
        pause = min(pause * 1.5, poll_seconds)
        yield pause
