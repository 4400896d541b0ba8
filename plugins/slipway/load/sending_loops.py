"""The sending loops: closed, with a number of requests in flight, and open, with requests due at a constant rate.

In the open loop, latency counts from when a request was due, not from when it was sent: when the endpoint stalls, the
requests behind must show the delay. Counting from the sending would hide it (coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache

from slipway.load.answers import Answers, is_right
from slipway.load.phases import Share
from slipway.load.plan import DRAIN_SECONDS
from slipway.load.rows import Row
from slipway.load.sender import NoReply, Sender
from slipway.load.tally import Tally

ABANDONED = "abandoned"
_LONGEST_SLEEP_SECONDS = 0.25


class Drive:
    """Send one process's share of a phase.

    :param share: what to send
    :param rows: all rows of the plan
    :param sender: sends a request
    :param starts_at: when the phase begins, by the clock
    :param clock: returns seconds; the same for all processes of a machine
    :param sleep: waits so many seconds
    :param answers: what the variants answer, by name; under the empty name for all others
    """

    def __init__(
        self,
        share: Share,
        rows: Sequence[Row],
        sender: Sender,
        starts_at: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        answers: Mapping[str, Answers] = {},
    ) -> None:
        self._share = share
        self._rows = [(row.label, row.features.encode()) for row in rows]
        self._sender = sender
        self._starts_at = starts_at
        self._answers = answers
        self._clock = clock
        self._sleep = sleep
        self._numbers = iter(range(share.first, share.requests, share.step))
        self._stopping = asyncio.Event()
        self._tally = Tally()

    def stop(self) -> None:
        """Send nothing more; `run` returns when the requests in flight have ended."""
        self._stopping.set()

    def take(self) -> Tally:
        """Return what was counted since the last call."""
        taken, self._tally = self._tally, Tally()
        return taken

    async def run(self, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Send the share.

        :param drain_seconds: how long requests in flight may still take after `stop`
        """
        await self._until(self._starts_at)
        slots = [asyncio.create_task(self._slot()) for _ in range(self._share.concurrency)]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            pending = set(slots)
            while pending and not stopping.done():
                done, _ = await asyncio.wait({*pending, stopping}, return_when=asyncio.FIRST_COMPLETED)
                pending -= done
                for slot in done - {stopping}:
                    # An error in a slot is a bug here and must not be hidden: less load would be sent.
                    slot.result()
            if pending:
                await asyncio.wait(pending, timeout=drain_seconds)
        finally:
            for task in (stopping, *slots):
                task.cancel()
            await asyncio.gather(stopping, *slots, return_exceptions=True)

    async def _slot(self) -> None:
        """Send one request after another; each slot has one in flight."""
        for number in self._numbers:
            due = self._due(number)
            if due is not None:
                await self._until(due)
            if self._stopping.is_set():
                return
            await self._request(number, due)

    def _due(self, number: int) -> float | None:
        interval = self._share.interval_seconds
        return None if interval is None else self._starts_at + number * interval

    async def _until(self, moment: float) -> None:
        # The event loop's timers are coarser than the intervals of a high rate, so the wait is checked again.
        while not self._stopping.is_set() and (wait := moment - self._clock()) > 0:
            await self._sleep(min(wait, _LONGEST_SLEEP_SECONDS))

    async def _request(self, number: int, due: float | None) -> None:
        label, body = self._rows[number % len(self._rows)]
        self._tally.sent += 1
        sent = self._clock()
        try:
            reply = await self._sender.send(body)
        except NoReply as error:
            self._tally.errors[error.kind] += 1
            return
        except asyncio.CancelledError:
            self._tally.errors[ABANDONED] += 1
            raise
        now = self._clock()
        answers = self._answers.get(reply.variant) or self._answers.get("", Answers.UNKNOWN)
        correct = _correct(label, reply.body, answers)
        self._tally.answer(reply.variant, correct, now - (sent if due is None else due), now - sent)


@lru_cache(maxsize=65_536)
def _correct(label: str, body: bytes, answers: Answers) -> bool:
    return is_right(label, body.decode(errors="replace"), answers)
