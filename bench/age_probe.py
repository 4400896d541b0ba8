"""Take the paths of Slipway that a history might slow down, in one account: `bench.age` runs this.

Each line of JSON on its input gets a line on its output: CPU seconds of this process, and what the path found. The
local AWS's ledger has the calls.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench import virtual_time
from bench.release_tasks import CpuMeter, IrisModel
from bench.waiting_probe import State
from slipway import names
from slipway.approval import wait as approval_wait
from slipway.approval.wait import ApprovalTrigger
from slipway.model.files import load_models
from slipway.paths import models_folder
from slipway.source.intake import WatchedBucket, take_in
from slipway.source.uploads import STATE_KEY
from slipway.source.versions import S3Versions
from slipway.source.watcher import UploadWatcherTrigger
from slipway.stages.board import Entry
from slipway.stages.gate import Ticket
from slipway.states import BoardStage
from tools.settings import ACCOUNT, REGION, Settings

_POLL_SECONDS = 0.02
# A wait is old, and has looked once: both in the time of the waits.
_AGE_SECONDS, _SETTLED_SECONDS = 3600.0, 120.0
_KIBIBYTES_IN_MIB = 1024


class _ReadAgain(State):
    """A state that is a new copy each time, as Airflow's API gives it; what the copy takes is not counted."""

    def __init__(self, entries: dict[str, Any], meter: CpuMeter) -> None:
        super().__init__(entries)
        self._meter = meter

    async def aget(self, key: str, default: Any = None) -> Any:
        with self._meter.paused():
            return json.loads(json.dumps(await super().aget(key, default)))


class Account:
    """One account, as Airflow's processes see it."""

    def __init__(self) -> None:
        self.model = IrisModel(Settings.from_environment())
        self._intake: dict[str, Any] = {}

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """Take one path."""
        what = order["what"]
        if what == "intake":
            return self._first_intake()
        if what == "settle":
            return self._settle()
        if what == "poll":
            return asyncio.run(self._polls(order["times"]))
        if what == "approvals":
            return self._approvals(order["prefixes"], order["seconds"])
        paths: dict[str, Callable[[], float]] = {
            "adopt": self.model.adopt,
            "release": self.model.release,
            "collection": self.model.collect,
            "teardown": self.model.tear_down,
        }
        return {"cpu_seconds": paths[what]()}

    def _bucket(self) -> WatchedBucket:
        models, _ = load_models(models_folder())
        bucket, connection = self.model.config.source.bucket, self.model.config.aws_conn_id
        return WatchedBucket(bucket, connection, {model.source.key: model.prefix for model in models})

    def _first_intake(self) -> dict[str, float]:
        """Take the bucket in as the first run of the intake does.

        The peak is what the process's resident memory rose to above what it was before, by the kernel's own mark.
        https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
        """
        source, versions, state = self._bucket(), S3Versions(), State(self._intake)
        started: list[str] = []

        def start(dag_id: str, run_id: str, conf: Any, note: str) -> bool:
            started.append(run_id)
            return True

        Path("/proc/self/clear_refs").write_text("5")
        before, meter = _memory_mib("VmRSS"), CpuMeter()
        take_in(source, state, versions, start)
        return {
            "cpu_seconds": meter.seconds,
            "peak_mib": _memory_mib("VmHWM") - before,
            "released": len(started),
            "stored_bytes": len(json.dumps(self._intake)),
        }

    def _settle(self) -> dict[str, float]:
        """Look until no later upload could look like the newest ones; then the bucket is idle."""
        source, state = self._bucket(), State(self._intake)
        while True:
            take_in(source, state, S3Versions(), lambda *_: True)
            if all(one.get("settled") for one in self._intake[STATE_KEY]["keys"].values()):
                return {}
            time.sleep(1)

    async def _polls(self, times: int) -> dict[str, Any]:
        """Let the intake's watcher look at the idle bucket."""
        meter = CpuMeter()
        source, state = self._bucket(), _ReadAgain(self._intake, meter)
        trigger = UploadWatcherTrigger(bucket=source.bucket, keys=source.open_keys, poll_seconds=_POLL_SECONDS)
        trigger.asset_state_store = state  # type: ignore[assignment]  # the part of it that the trigger uses

        async def events() -> None:
            async for event in trigger.run():
                raise SystemExit(f"bench: the bucket is not idle: {event}")

        watching = asyncio.create_task(events())
        # The first look makes the client.
        while state.polls < 2 and not watching.done():
            await asyncio.sleep(_POLL_SECONDS / 5)
        first, before, began = state.polls, meter.seconds, datetime.now(UTC).isoformat()
        while state.polls < first + times and not watching.done():
            await asyncio.sleep(_POLL_SECONDS)
        polls = state.polls - first
        found = {"cpu_seconds": (meter.seconds - before) / polls, "polls": polls, "began": began}
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return found

    def _approvals(self, prefixes: list[str], seconds: float) -> dict[str, Any]:
        """Let the first release of each model wait for its approval, as waits do that are an hour old."""
        # Airflow's answer, which is no call of AWS.
        answered, approval_wait.is_answered = approval_wait.is_answered, lambda ti_id: False
        try:
            found = virtual_time.run(self._wait_for_all(prefixes, seconds))
        finally:
            approval_wait.is_answered = answered
        return found

    async def _wait_for_all(self, prefixes: list[str], seconds: float) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual_time.VirtualLoop)  # noqa: S101 - see above

        async def wait(trigger: ApprovalTrigger) -> None:
            look = trigger.look

            async def at_one_time() -> Any:
                with loop.busy():
                    return await look()

            trigger.look = at_one_time  # type: ignore[method-assign]
            try:
                async for event in trigger.run():
                    raise SystemExit(f"bench: an approval has ended: {event}")
            finally:
                await trigger.cleanup()

        waiting = [asyncio.create_task(wait(self._approval(prefix))) for prefix in prefixes]
        # The first looks make the clients, once for each triggerer.
        done, _ = await asyncio.wait(waiting, timeout=_SETTLED_SECONDS)
        began, meter = datetime.now(UTC).isoformat(), CpuMeter()
        if not done:
            done, _ = await asyncio.wait(waiting, timeout=seconds)
        found = {"cpu_seconds": meter.seconds, "began": began}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for task in done:
            task.result()
        return found

    def _approval(self, prefix: str) -> ApprovalTrigger:
        model, now = self.model.config, datetime.now(UTC).isoformat()
        entry = Entry(prefix, "s3__1", "0" * 32, now, now)
        bucket = self.model.settings.bucket
        ticket = Ticket(bucket, names.board_key(prefix), BoardStage.APPROVE, model.execution_mode, entry)
        group = f"model-package/{names.model_package_group(prefix)}"
        return ApprovalTrigger(
            ti_id=str(uuid4()),
            model_package_arn=f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{group}/1",
            deadline=time.time() + timedelta(days=7).total_seconds(),
            ticket=ticket.to_json(),
            first_look=time.time() - _AGE_SECONDS,
            aws_conn_id=model.aws_conn_id,
        )


def _memory_mib(member: str) -> float:
    """Read a figure of this process's memory. https://man7.org/linux/man-pages/man5/proc_pid_status.5.html"""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{member}:")[2].split()[0]) / _KIBIBYTES_IN_MIB


if __name__ == "__main__":
    # The tasks' logs are many, and standard output is for answers.
    logging.disable(logging.WARNING)
    print("ready", flush=True)
    account = Account()
    for line in sys.stdin:
        print(json.dumps(account.answer(json.loads(line))), flush=True)
