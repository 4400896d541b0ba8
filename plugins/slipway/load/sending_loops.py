"""The sending loops: closed, with a number of requests in flight, and open, with requests due at a constant rate.

In the open loop, latency counts from when a request was due, not from when it was sent: when the endpoint stalls, the
requests behind must show the delay. Counting from the sending would hide it (coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial

from slipway.load.answers import Answers, is_right
from slipway.load.phases import Share
from slipway.load.plan import DRAIN_SECONDS
from slipway.load.rows import Row
from slipway.load.sender import NoReply, Reply, Sender
from slipway.load.tally import Tally

ABANDONED = "abandoned"


class Drive:
    """Send one process's share of a phase.

    :param share: what to send
    :param rows: all rows of the plan
    :param sender: sends a request
    :param starts_at: when the phase begins, by the clock
    :param clock: returns seconds; the same for all processes of a machine
    :param answers: what the variants answer, by name; under the empty name for all others
    """

    def __init__(
        self,
        share: Share,
        rows: Sequence[Row],
        sender: Sender,
        starts_at: float,
        clock: Callable[[], float] = time.monotonic,
        answers: Mapping[str, Answers] = {},
    ) -> None:
        self._share = share
        self._interval = share.interval_seconds
        self._rows = [(row.label, row.features.encode()) for row in rows]
        self._sender = sender
        self._starts_at = starts_at
        self._answers = answers
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        # The number of the next request.
        self._number = share.first
        self._in_flight = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._drain_seconds = DRAIN_SECONDS
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._tally = Tally()

    def stop(self) -> None:
        """Send nothing more; `run` returns when the requests in flight have ended."""
        if not self._stopping:
            self._stopping = True
            self._loop.call_soon(self._drain)

    def take(self) -> Tally:
        """Return what was counted since the last call."""
        taken, self._tally = self._tally, Tally()
        return taken

    async def run(self, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Send the share.

        :param drain_seconds: how long requests in flight may still take after `stop`
        """
        self._drain_seconds = drain_seconds
        self._fill()
        try:
            await self._over
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _fill(self) -> None:
        """Send the requests that are due, as many as may be in flight."""
        try:
            while self._in_flight < self._share.concurrency and not self._stopping:
                if self._number >= self._share.requests:
                    break
                now = self._clock()
                due = self._starts_at if self._interval is None else self._starts_at + self._number * self._interval
                if now < due:
                    self._wait(due - now)
                    break
                label, body = self._rows[self._number % len(self._rows)]
                self._number += self._share.step
                self._tally.sent += 1
                self._in_flight += 1
                counted_from = now if self._interval is None else due
                self._sender.send(body, partial(self._answered, label, counted_from, now))
        except Exception as error:
            # A bug here must not be hidden: less load would be sent.
            self._end(error)
        else:
            if not self._in_flight and (self._stopping or self._number >= self._share.requests):
                self._end()

    def _wait(self, seconds: float) -> None:
        # The event loop's timers are coarser than the intervals of a high rate, so the clock is read again afterwards.
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._fill()

    def _answered(self, label: str, counted_from: float, sent: float, reply: Reply | NoReply) -> None:
        if self._over.done():
            # It was counted as abandoned.
            return
        now = self._clock()
        self._in_flight -= 1
        try:
            if isinstance(reply, NoReply):
                self._tally.errors[reply.kind] += 1
            else:
                answers = self._answers.get(reply.variant) or self._answers.get("", Answers.UNKNOWN)
                correct = _correct(label, reply.body, answers)
                self._tally.answer(reply.variant, correct, now - counted_from, now - sent)
        except Exception as error:
            self._end(error)
        else:
            self._fill()

    def _drain(self) -> None:
        if self._over.done():
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._in_flight:
            self._timer = self._loop.call_later(self._drain_seconds, self._abandon)
        else:
            self._end()

    def _abandon(self) -> None:
        if self._in_flight:
            self._tally.errors[ABANDONED] += self._in_flight
        self._end()

    def _end(self, error: Exception | None = None) -> None:
        if self._over.done():
            return
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)
        if self._in_flight:
            self._sender.abandon()


@lru_cache(maxsize=65_536)
def _correct(label: str, body: bytes, answers: Answers) -> bool:
    return is_right(label, body.decode(errors="replace"), answers)
