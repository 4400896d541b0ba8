"""The sending processes, seen from the process that starts them."""

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

# The second of the phase, its counts, and the share of its core that the process used (0 if unknown).
Report = Callable[[int, Tally, float], None]


class Process:
    """One sending process; it ends when its input does, so also when this process is killed."""

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
            # Ctrl-C in a terminal must reach only this process, which ends the others in order.
            start_new_session=True,
        )
        started = cls(process)
        await started.order(job)
        await started._next()
        return started

    async def order(self, message: dict[str, Any]) -> None:
        """Send an order; a process that has ended ignores it."""
        try:
            self._orders.write(json.dumps(message).encode() + b"\n")
            await self._orders.drain()
        except (BrokenPipeError, ConnectionResetError):
            # Reading its answers raises an error with the exit status.
            return

    async def phase(self, share: dict[str, Any], starts_at: float, report: Report) -> tuple[float, float]:
        """Have the process send a share, and pass on its counts.

        :param share: its part of the phase
        :param starts_at: when to begin, by the monotonic clock
        :param report: called each second
        :returns: seconds from the start to the last answer, and the process's CPU seconds
        :raises LoadError: when the process ends before
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
            raise LoadError(f"A sending process ended early with status {status}; its error output says why")
        return json.loads(line)

    def kill(self) -> None:
        """Kill the process; its counts since the last report are lost."""
        # A process that has already ended cannot be killed.
        if self._process.returncode is None:
            self._process.kill()

    async def close(self) -> None:
        """End the process without waiting for its requests in flight."""
        self._orders.close()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            self.kill()
            await self._process.wait()
