"""The sending processes, seen from the one that leads them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from slipway.load.errors import LoadError
from slipway.load.tally import Tally
from slipway.load.worker import LINE_BYTES

_STOP_SECONDS = 10.0
_PLUGINS = Path(__file__).resolve().parents[2]

# Second of the phase, what was counted in it, and the share of its core that the process used, where it says so.
Report = Callable[[int, Tally, float], None]


class Process:
    """One sending process; it ends when its input does, however this process ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process needs pipes")
        self._orders, self._answers = process.stdin, process.stdout

    @classmethod
    async def start(cls, job: dict[str, Any]) -> Self:
        """Start a process and wait until it is ready to send.

        :param job: target, rows, timeout and credentials, as the worker reads them
        :raises LoadError: when it does not start
        """
        path = os.pathsep.join(filter(None, (str(_PLUGINS), os.environ.get("PYTHONPATH"))))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "slipway.load.worker"),
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, "PYTHONPATH": path},
            limit=LINE_BYTES,
            # Ctrl-C in a terminal goes to the leading process alone, which ends the others in order.
            start_new_session=True,
        )
        started = cls(process)
        await started.order(job)
        await started._next()
        return started

    async def order(self, message: dict[str, Any]) -> None:
        """Send an order; one that has ended hears nothing."""
        try:
            self._orders.write(json.dumps(message).encode() + b"\n")
            await self._orders.drain()
        except (BrokenPipeError, ConnectionResetError):
            # Whoever reads its answers sees the end, with the exit status.
            return

    async def phase(self, share: dict[str, Any], starts_at: float, report: Report) -> tuple[float, float]:
        """Have it send a share, and pass on what it counts.

        :param share: its part of the phase
        :param starts_at: when to begin, by the monotonic clock
        :param report: told each second
        :returns: seconds from the start to its last answer, and seconds that its core has worked
        :raises LoadError: when it ends before
        """
        await self.order({"share": share, "starts_at": starts_at})
        while True:
            message = await self._next()
            if "finished" in message:
                return message["elapsed_seconds"], message["cpu_seconds"]
            report(message["second"], Tally.from_message(message["tally"]), message.get("cpu_share", 0.0))

    async def _next(self) -> dict[str, Any]:
        line = await self._answers.readline()
        if not line.endswith(b"\n"):
            status = await self._process.wait()
            raise LoadError(f"A sending process ended by itself with status {status}; its error output says why")
        return json.loads(line)

    def kill(self) -> None:
        """End it at once; what it has counted since its last report is lost."""
        # One that has ended by itself is left alone.
        if self._process.returncode is None:
            self._process.kill()

    async def close(self) -> None:
        """End it; what it has in flight is left alone."""
        self._orders.close()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            self.kill()
            await self._process.wait()
