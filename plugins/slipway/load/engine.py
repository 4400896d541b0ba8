"""Run a plan: start the sending processes, merge their counts, and end them in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.credentials import ReadOnlyCredentials

from slipway.load.access import Access
from slipway.load.errors import LoadError
from slipway.load.phases import Phase, phase_to_json, shares
from slipway.load.plan import Plan
from slipway.load.processes import Process
from slipway.load.result import COMPLETED, LoadResult, PhaseResult, Second
from slipway.load.seconds import Book
from slipway.load.tally import Tally

_CREDENTIALS_SECONDS = 20.0
_INSTANCES_SECONDS = 5.0
# Time for every process to get the order before the phase starts.
_LEAD_SECONDS = 0.1
# After the requests in flight have ended, for the last report; Airflow leaves a task five seconds for both.
_LAST_REPORT_SECONDS = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    :param number: of the phase, from 1 on
    :param phase: what is being sent
    :param elapsed_seconds: since the phase's start
    :param total: everything counted in this phase
    :param latest: the last second that every process has reported, or None in the first
    """

    number: int
    phase: Phase
    elapsed_seconds: float
    total: Tally
    latest: Second | None


OnProgress = Callable[[Progress], None]


class Engine:
    """One run of a plan.

    :param plan: what to send
    :param access: access to AWS
    :param on_progress: called once a second
    """

    def __init__(self, plan: Plan, access: Access, on_progress: OnProgress = lambda progress: None) -> None:
        self._plan = plan
        self._access = access
        self._on_progress = on_progress
        self._ended = COMPLETED
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._processes: list[Process] = []
        self._instances: dict[str, int] = {}

    def run(self) -> LoadResult:
        """Send the load; return when all of it is answered or the run was stopped.

        :raises LoadRefused: when the plan is above its caps
        :raises LoadError: when AWS cannot be reached, or no process can be started
        """
        self._plan.check()
        return asyncio.run(self._run())

    def stop(self, reason: str) -> None:
        """End the run in order; `run` returns what was done. Any thread or signal handler may call this.

        :param reason: for the report
        """
        if self._ended == COMPLETED:
            self._ended = reason
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def _run(self) -> LoadResult:
        self._loop = asyncio.get_running_loop()
        if self._ended != COMPLETED:
            self._stopping.set()
        plan, access = self._plan, self._access
        target = await asyncio.to_thread(access.target, plan.endpoint_name, plan.target_variant)
        credentials = await asyncio.to_thread(access.credentials)
        job = {
            "target": asdict(target),
            "rows": [[row.label, row.features] for row in plan.sent_rows],
            "answers": dict(plan.answers),
            "timeout_seconds": plan.timeout_seconds,
            "drain_seconds": plan.drain_seconds,
            "credentials": _texts(credentials),
        }
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        results: list[PhaseResult] = []
        watchers: list[asyncio.Task[None]] = []
        try:
            for _ in range(max(plan.processes_for(phase) for phase in plan.phases)):
                self._processes.append(await Process.start(job))
            watchers = [
                asyncio.create_task(self._watch_credentials(credentials)),
                asyncio.create_task(self._watch_instances()),
                asyncio.create_task(self._watch_time()),
            ]
            for number, phase in enumerate(plan.phases, 1):
                if not self._stopping.is_set():
                    results.append(await self._phase(number, phase))
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*(process.close() for process in self._processes))
        return LoadResult(plan.summary(), started_at, self._ended, tuple(results))

    async def _phase(self, number: int, phase: Phase) -> PhaseResult:
        parts = shares(phase, self._plan.processes_for(phase))
        starts_at = time.monotonic() + _LEAD_SECONDS
        started_at = datetime.now(UTC) + timedelta(seconds=_LEAD_SECONDS)
        book = Book(len(parts), lambda: self._instances)
        sending = [
            asyncio.create_task(self._send(sender, asdict(part), starts_at, book)) for sender, part in enumerate(parts)
        ]
        progress = asyncio.create_task(self._report_progress(number, phase, starts_at, book))
        order = asyncio.create_task(self._order_stop(sending))
        try:
            done = await asyncio.gather(*sending)
        finally:
            for task in (progress, order, *sending):
                task.cancel()
        result = PhaseResult(
            phase=phase_to_json(phase),
            processes=len(parts),
            started_at=started_at.isoformat(timespec="milliseconds"),
            elapsed_seconds=max(elapsed for elapsed, _ in done),
            cpu_seconds=sum(used for _, used in done),
            tally=book.total,
            seconds=tuple(book.seconds),
            cpu_share=book.cpu_share,
        )
        self._on_progress(Progress(number, phase, result.elapsed_seconds, result.tally, book.latest))
        return result

    async def _send(self, sender: int, share: dict[str, Any], starts_at: float, book: Book) -> tuple[float, float]:
        try:
            return await self._processes[sender].phase(share, starts_at, partial(book.note, sender))
        except LoadError as error:
            # The run ends, but keeps what all processes have counted.
            self.stop(error.problem)
            return time.monotonic() - starts_at, 0.0
        finally:
            book.end(sender)

    async def _report_progress(self, number: int, phase: Phase, starts_at: float, book: Book) -> None:
        while True:
            await asyncio.sleep(1)
            self._on_progress(Progress(number, phase, time.monotonic() - starts_at, book.total, book.latest))

    async def _order_stop(self, sending: Sequence[asyncio.Task[tuple[float, float]]]) -> None:
        await self._stopping.wait()
        for process in self._processes:
            await process.order({"stop": True})
        await asyncio.sleep(self._plan.drain_seconds + _LAST_REPORT_SECONDS)
        for process, task in zip(self._processes, sending, strict=False):
            if not task.done():
                process.kill()

    async def _watch_credentials(self, known: ReadOnlyCredentials) -> None:
        while True:
            await asyncio.sleep(_CREDENTIALS_SECONDS)
            with contextlib.suppress(LoadError):
                # Keep the old ones; if they have expired, every answer of AWS says so.
                current = await asyncio.to_thread(self._access.credentials)
                if current != known:
                    known = current
                    for process in self._processes:
                        await process.order({"credentials": _texts(current)})

    async def _watch_instances(self) -> None:
        while True:
            try:
                self._instances = await asyncio.to_thread(self._access.instances, self._plan.endpoint_name)
            except LoadError as error:
                _log.warning("%s", error.problem)
            await asyncio.sleep(_INSTANCES_SECONDS)

    async def _watch_time(self) -> None:
        plan = self._plan
        await asyncio.sleep(plan.ends_after_seconds + len(plan.phases) * _LEAD_SECONDS)
        self.stop(f"the cap max_seconds of {plan.caps.max_seconds:g} s was reached")


def _texts(credentials: ReadOnlyCredentials) -> list[Any]:
    return [credentials.access_key, credentials.secret_key, credentials.token]
