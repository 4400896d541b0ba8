"""A server whose stalls are scripted, so that the latencies of an open loop follow from the script.

A request that is due in a stall is answered at its end, and every other at once. The latency of each request, and
with it every percentile, is known before anything is sent.

It runs in its own process, `python -m bench.stalls PORT`, and the script begins with the first invocation.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

_HEAD_END, _LENGTH = b"\r\n\r\n", b"\r\ncontent-length:"
_INVOCATION = b"POST /endpoints/"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 2\r\n\r\n0\n"
# The engine also asks how many instances there are, which is no part of the load.
_REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Script:
    """A constant rate of requests to a server that stalls.

    :param rate_rps: requests due each second
    :param seconds: for how long
    :param stalls: begin and end of each stall, in seconds from the first request on
    """

    rate_rps: float
    seconds: float
    stalls: Sequence[tuple[float, float]]

    def answered_at(self, moment: float) -> float:
        """Return when a request is answered.

        :param moment: when it arrives
        """
        return next((end for begin, end in self.stalls if begin <= moment < end), moment)

    def latencies(self) -> list[float]:
        """Return the latency of each request that is due, in seconds."""
        due = [number / self.rate_rps for number in range(round(self.rate_rps * self.seconds))]
        return [self.answered_at(moment) - moment for moment in due]


# Three quarters of the time are stalls of one to five seconds, so the median is more than a second too, beside which a
# busy machine's delays are small. A low rate keeps small how long the waiting requests take after a stall.
SCRIPT = Script(
    rate_rps=25,
    seconds=40,
    stalls=(
        (0.40, 3.71),
        (4.54, 6.41),
        (7.02, 11.25),
        (12.22, 14.81),
        (15.53, 19.30),
        (20.18, 21.61),
        (22.14, 27.05),
        (28.06, 30.89),
        (31.56, 33.73),
        (34.64, 38.17),
    ),
)


def percentile(latencies: Sequence[float], percent: float) -> float:
    """Return the lowest of the values that so many percent of them do not exceed.

    :param latencies: any values
    :param percent: 100 for the highest
    """
    # 99.9 is no binary fraction: without rounding, 99.9 % of 1 000 would be 999.0000000000001.
    rank = math.ceil(round(len(latencies) * percent / 100, 9))
    return sorted(latencies)[max(0, rank - 1)]


class Clock:
    """The time of the script, which begins with the first invocation.

    :param now: returns seconds
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._begun: float | None = None

    def __call__(self) -> float:
        if self._begun is None:
            self._begun = self._now()
        return self._now() - self._begun


class StallingServer(asyncio.Protocol):
    """One connection, which has one request at a time.

    :param script: says when to answer
    :param clock: the time of the script
    """

    def __init__(self, script: Script, clock: Clock) -> None:
        self._script, self._clock = script, clock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        _, found, length = head.lower().partition(_LENGTH)
        if not end or (found and len(body) < int(length.partition(b"\r\n")[0])):
            return
        self._received = b""
        if head.startswith(_INVOCATION):
            now = self._clock()
            self._loop.call_later(self._script.answered_at(now) - now, self._answer, _ANSWER)
        else:
            self._answer(_REFUSAL)

    def _answer(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(StallingServer, SCRIPT, Clock(loop.time)), "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
