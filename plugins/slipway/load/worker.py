"""A sending process: it reads orders as lines of JSON, and writes its counts as lines of JSON each second.

It stops at the end of its input, so it never outlives the process that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Coroutine
from typing import Any

from botocore.credentials import ReadOnlyCredentials

from slipway.load.answers import Answers
from slipway.load.phases import Share
from slipway.load.plan import MAX_ROWS_MIB
from slipway.load.rows import Row
from slipway.load.sender import HttpSender
from slipway.load.sending_loops import Drive
from slipway.load.signing import RequestSigner, Target

# A line of input holds all rows, which have a limit of their own, and little else.
LINE_BYTES = 2 * MAX_ROWS_MIB * 2**20
REPORT_SECONDS = 1.0


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _schedule(share: Share) -> None:
    """Let Linux wake this process at once for an open loop, and for a closed one where a core is free.

    A closed loop with many requests in flight would interrupt the endpoint's processes on its machine for each answer.
    As a batch process it finds several answers when its turn comes, which takes half as much CPU for each. An open loop
    has to send when requests are due.
    https://man7.org/linux/man-pages/man7/sched.7.html
    """
    if not hasattr(os, "SCHED_BATCH"):
        return
    policy = os.SCHED_BATCH if share.interval_seconds is None else os.SCHED_OTHER
    # A container may forbid it; then the load is sent as before.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, policy, os.sched_param(0))


class LoadWorker:
    """Carry out the orders of the input.

    :param orders: the lines of the input
    """

    def __init__(self, orders: asyncio.StreamReader) -> None:
        self._orders = orders
        self._drive: Drive | None = None
        # The second that is reported next.
        self._second = 0

    async def run(self) -> None:
        """Send phase after phase until the input ends or a phase fails."""
        job = await self._next()
        if job is None:
            return
        target = Target(**job["target"])
        signer = RequestSigner(target, ReadOnlyCredentials(*job["credentials"]))
        rows = [Row(*row) for row in job["rows"]]
        answers = {variant: Answers(kind) for variant, kind in job["answers"].items()}
        # A phase that fails ends the process: the process that started it sees the end and stops waiting.
        async with HttpSender(target, signer, job["timeout_seconds"]) as sender, asyncio.TaskGroup() as phases:
            _say({"ready": True})
            while (order := await self._next()) is not None:
                if "credentials" in order:
                    signer.renew(ReadOnlyCredentials(*order["credentials"]))
                if "share" in order:
                    share = Share(**order["share"])
                    _schedule(share)
                    self._drive = Drive(share, rows, sender, order["starts_at"], answers=answers)
                    phases.create_task(self._phase(self._drive, order["starts_at"], job["drain_seconds"]))
                if "stop" in order:
                    self._stop()
            self._stop()

    async def _next(self) -> dict[str, Any] | None:
        line = await self._orders.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def _stop(self) -> None:
        if self._drive is not None:
            self._drive.stop()

    async def _phase(self, drive: Drive, starts_at: float, drain_seconds: float) -> None:
        used, self._second = time.process_time(), 0
        async with asyncio.TaskGroup() as beside:
            reports = beside.create_task(self._reports(drive, starts_at))
            await drive.run(drain_seconds)
            reports.cancel()
        elapsed_seconds, cpu_seconds = time.monotonic() - starts_at, time.process_time() - used
        # A second is reported once, though timers may be early or late.
        last = max(self._second, int(elapsed_seconds / REPORT_SECONDS))
        _say({"tally": drive.take().to_message(), "second": last})
        _say({"finished": True, "elapsed_seconds": elapsed_seconds, "cpu_seconds": cpu_seconds})

    async def _reports(self, drive: Drive, starts_at: float) -> None:
        used = time.process_time()
        while True:
            await asyncio.sleep(max(0.0, starts_at + (self._second + 1) * REPORT_SECONDS - time.monotonic()))
            now = time.process_time()
            share = (now - used) / REPORT_SECONDS
            _say({"tally": drive.take().to_message(), "second": self._second, "cpu_share": round(share, 3)})
            self._second, used = self._second + 1, now


async def _main() -> None:
    loop = asyncio.get_running_loop()
    # Ctrl-C reaches the whole process group, but only the parent may end this process.
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: None)
    orders = asyncio.StreamReader(limit=LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    await LoadWorker(orders).run()


def _run(main: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


if __name__ == "__main__":
    _run(_main())
