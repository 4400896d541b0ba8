"""Release many models at once on Celery workers, and print and write what that took.

Run by `make fleet`. It starts an instance of its own on free ports: two schedulers, two triggerers, three workers.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.faults.burst.run import Burst, report
from tests.faults.chaos.run import free_ports
from tests.faults.fleet.figures import Figures
from tests.instance import Instance

CONSOLE = Console(highlight=False, soft_wrap=True)
_HOURS = 3600.0


def wrong(burst: Burst) -> list[str]:
    """Return what is not as it must be: releases that did not succeed, jobs and change sets that were made twice."""
    found = [f"{prefix} {run}: {state}" for (prefix, run), state in burst.states.items() if state != "success"]
    releases, ledger = burst.count * burst.each, burst.instance.ledger
    if not burst.ended():
        found.append(f"{len(burst.states)} of {releases} releases were begun, and not all of them have ended")
    jobs = [call["resource"] for call in ledger(operation="CreateTrainingJob", outcome="ok")]
    if len(jobs) != len(set(jobs)) or len(jobs) != releases:
        found.append(f"{len(jobs)} training jobs with {len(set(jobs))} names for {releases} releases")
    changes = ledger(operation="ExecuteChangeSet", outcome="ok")
    changes = [call for call in changes if "slipway-airflow" in str(call["caller"])]
    if len(changes) != 2 * releases:
        found.append(f"{len(changes)} changes of stacks for {releases} releases, which make two each")
    return found


def figures(burst: Burst, seconds: float, taken: dict[str, Any]) -> dict[str, Any]:
    """Return everything that is printed and written."""
    attempts = burst.attempts()
    return {
        "releases": burst.count * burst.each,
        "models": burst.count,
        "workers": burst.instance.settings.celery_workers,
        "seconds": round(seconds),
        "releases an hour": round(burst.count * burst.each * _HOURS / seconds, 1),
        "deferrals": burst.deferrals(),
        "resumed tasks taken for killed": burst.taken_for_killed(),
        "tasks with more than one attempt": attempts,
        **taken,
        "wrong": wrong(burst),
    }


def main() -> int:
    """Entry point of `make fleet`."""
    parser = argparse.ArgumentParser(prog="tests.faults.fleet", description=__doc__)
    parser.add_argument("--models", type=int, default=20, help="how many models (default: 20)")
    parser.add_argument("--each", type=int, default=3, help="how many releases of each (default: 3)")
    parser.add_argument("--workers", type=int, default=3, help="how many Celery workers (default: 3)")
    parser.add_argument("--minutes", type=float, default=120.0, help="how long all may take (default: 120)")
    parser.add_argument("--write", type=Path, default=Path("fleet.json"), help="the file for the figures")
    parser.add_argument("--keep", action="store_true", help="keep the state folder with the logs")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="slipway-fleet-"))
    instance = Instance.in_folder(folder, free_ports(2), {}, celery_workers=arguments.workers)
    taken = Figures(instance)
    burst = Burst(instance, arguments.models, arguments.each, 60 * arguments.minutes, taken.look)
    burst.add_models()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    CONSOLE.print(f"state and logs in {folder}")
    try:
        instance.services("up")
        taken.begin()
        seconds = burst.run()
        found = figures(burst, seconds, taken.end(burst.count * burst.each))
        CONSOLE.print(report(burst, seconds), markup=False)
        CONSOLE.print(json.dumps(found, indent=2), markup=False)
        arguments.write.write_text(json.dumps(found, indent=2) + "\n")
    finally:
        instance.services("down")
    if not (arguments.keep or found["wrong"]):
        shutil.rmtree(folder)
    return 1 if found["wrong"] else 0
