"""The loop: releases go on, processes are hit at random moments, and at the end there is a table."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.chaos import clocks, models, strikes
from tests.faults.chaos.audit import audit
from tests.faults.chaos.evidence import Process
from tests.faults.chaos.gather import gather
from tests.faults.chaos.strikes import PAUSE_SECONDS, Strike, Striker
from tests.faults.chaos.victims import strays
from tests.faults.chaos.workload import Workload
from tests.instance import Instance
from tools import environment
from tools.services import HEALTH_KEYS, WELL, components_health

# Before a strike: some come while the effect of the last one lasts, the others find all well.
_PAUSE_SECONDS = (0.0, 8.0)
_WELL_FIRST_SHARE = 0.6
_WELL_SECONDS = 90.0
# Until it is told that none of a kind is there.
_SEARCH_SECONDS = 30.0
_SEARCHES = 10
# Without any release coming further: what is open then is stuck.
_PATIENCE_SECONDS = 300.0
_QUIET_SECONDS = 120.0


@dataclass
class Chaos:
    """One run of it.

    :param plan: what is done, in this order
    :param say: shows a line of progress
    :param released: the models that are released meanwhile
    :param uploads: how many uploads there are at most
    :param pause_seconds: how long a paused process stands still, at least and at most
    """

    instance: Instance
    plan: Sequence[Strike]
    seed: int
    say: Callable[[str], None]
    released: tuple[models.Model, ...] = models.MODELS
    uploads: int = 1000
    pause_seconds: tuple[float, float] = PAUSE_SECONDS
    done: list[Strike] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workload = Workload(self.instance, random.Random(self.seed + 1), self.released, self.uploads)
        self._striker = Striker(self.instance.settings, self.pause_seconds)
        self._began = time.monotonic()

    def run(self) -> dict[str, list[str]]:
        """Release and strike. :returns: what is wrong, by column"""
        try:
            return self._run()
        finally:
            self._striker.release()
            self.workload.end()

    def _run(self) -> dict[str, list[str]]:
        models.upload_data(self.instance)
        # What lies in a bucket at the first look is history, of which the newest version only is released.
        self.instance.wait("the first look at the bucket", self._looked)
        self.workload.start()
        for number, strike in enumerate(self.plan):
            # What chance says of one strike depends on none before it.
            chance = random.Random(f"{self.seed}/{number}")
            self._pause(chance)
            for _ in range(_SEARCHES):
                if self._strike(strike, chance):
                    break
                self.tell(f"no {strike.kind} was alive for {_SEARCH_SECONDS:.0f} s")
        self.workload.stop_uploads()
        self._striker.wait()
        for kind in self._striker.put_clocks_right():
            self.tell(f"start {kind} again, its clock put right")
        self._settle()
        left = self._quiet()
        evidence = gather(self.instance, self.workload.uploads, self.workload.answers, left)
        return audit(replace(evidence, clocks_apart_seconds=self._clocks_apart_seconds()))

    def _clocks_apart_seconds(self) -> int:
        """Two clocks may have been wrong at the same time, one ahead and one behind."""
        shifted = sum(strike.deed in (strikes.AHEAD, strikes.BEHIND) for strike in self.done)
        return min(shifted, 2) * clocks.SHIFT_SECONDS

    def _looked(self) -> bool:
        return any(run["state"] == "success" for run in self.instance.api().runs("intake"))

    def _pause(self, chance: random.Random) -> None:
        well_first, seconds = chance.random() < _WELL_FIRST_SHARE, chance.uniform(*_PAUSE_SECONDS)
        deadline = time.monotonic() + (_WELL_SECONDS if well_first else 0.0)
        while time.monotonic() < deadline and self._sick():
            time.sleep(1)
        time.sleep(seconds)

    def _sick(self) -> list[str]:
        """:returns: what is not healthy now"""
        health = components_health(self.instance.settings)
        if clocks.shifted(self.instance.settings):
            # The age of a heartbeat says nothing then.
            health = {name: state for name, state in health.items() if name not in HEALTH_KEYS}
        return [name for name, state in health.items() if state not in WELL]

    def _strike(self, strike: Strike, chance: random.Random) -> bool:
        deadline = time.monotonic() + _SEARCH_SECONDS
        while time.monotonic() < deadline:
            if said := self._striker.strike(strike, chance):
                self.done.append(strike)
                self.tell(said)
                return True
            time.sleep(0.05)
        return False

    def _settle(self) -> None:
        """Wait until every release has ended, or nothing comes further."""
        moved, before = time.monotonic(), ""
        while time.monotonic() - moved < _PATIENCE_SECONDS:
            open_runs, unnoticed, sick = self.workload.open_runs(), self.workload.unnoticed(), self._sick()
            if not (open_runs or unnoticed or sick):
                return
            now = f"{sorted(open_runs)} {len(unnoticed)} {sick} {len(self.workload.answers)}"
            if now != before:
                moved, before = time.monotonic(), now
                self.tell(f"settling: {len(open_runs)} releases open" + (f", {', '.join(sick)} down" if sick else ""))
            time.sleep(2)

    def _quiet(self) -> list[Process]:
        """Give what a killed process left behind time to end. :returns: what stayed"""
        deadline = time.monotonic() + _QUIET_SECONDS
        while (left := strays(self.instance.settings)) and time.monotonic() < deadline:
            time.sleep(2)
        return left

    def tell(self, text: str) -> None:
        """Show what happens and how the releases are."""
        seconds = int(time.monotonic() - self._began)
        counts = self.workload.counts()
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        self.say(f"{seconds // 60:3}:{seconds % 60:02} [{len(self.done)}/{len(self.plan)}] {text}; releases: {states}")

    def summary(self) -> str:
        """:returns: what was done"""
        seconds = time.monotonic() - self._began
        answered = sum(answer.acknowledged for answer in self.workload.answers)
        return (
            f"seed {self.seed}, {seconds / 60:.1f} minutes, {len(self.done)} strikes ({strikes.in_words(self.done)}); "
            f"{len(self.workload.uploads)} uploads, {answered} answers"
        )


def table(found: dict[str, list[str]]) -> Table:
    """:returns: the columns and their figures"""
    made = Table(*found)
    made.add_row(*(f"[{'red' if rows else 'green'}]{len(rows)}[/]" for rows in found.values()))
    return made


def free_ports(count: int) -> list[int]:
    """:returns: ports of the loopback on which nobody listens now"""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def main() -> int:
    """Entry point of `make chaos`."""
    parser = argparse.ArgumentParser(prog="tests.faults.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="how many processes to hit (default: 10)")
    parser.add_argument("--seed", type=int, help="repeats the choices of an earlier run (default: random)")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10_000)
    console = Console(highlight=False, soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="slipway-chaos-"))
    instance = Instance.in_folder(folder, free_ports(2), {})
    models.add(instance)
    console.print(f"seed {seed}; state and logs in {folder}")
    chaos: Chaos | None = None
    found: dict[str, list[str]] | None = None
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        instance.services("up")
        # The audit reads the decisions, whose proofs are by this instance's key.
        keys = environment.signing_keys(instance.settings)
        os.environ["AIRFLOW__SLIPWAY__APPROVAL_PUBLIC_KEYS"] = keys["approval_public_keys"]
        pool, left_out = strikes.possible(instance.settings)
        for reason in left_out:
            console.print(reason)
        plan = strikes.plan(pool, arguments.runs, seed)
        chaos = Chaos(instance, plan, seed, lambda line: console.print(line, markup=False))
        found = chaos.run()
    except KeyboardInterrupt:
        console.print("Interrupted: what is open now has not been judged.")
    finally:
        instance.services("down")
        if chaos:
            console.print(chaos.summary(), markup=False)
            console.print(strikes.table(chaos.done))
    return _report(console, folder, found)


def _report(console: Console, folder: Path, found: dict[str, list[str]] | None) -> int:
    if found is None:
        shutil.rmtree(folder)
        return 130
    console.print(table(found))
    wrong = [f"{name}: {row}" for name, rows in found.items() for row in rows]
    for row in wrong:
        console.print(row, markup=False)
    if wrong:
        console.print(f"What happened is in {folder}: home/aws/ledger.jsonl, home/log, home/airflow/logs")
        return 1
    shutil.rmtree(folder)
    return 0
