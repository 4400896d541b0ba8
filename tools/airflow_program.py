"""Airflow's command, run as `python -m airflow` runs it, by a Python that looks for garbage less often.

A component of Airflow makes a million objects while it imports its modules and builds its routes, and nearly all of
them stay. Python would look through them a thousand times: a quarter of the CPU time of a start.
https://docs.python.org/3/library/gc.html#gc.set_threshold
"""

from __future__ import annotations

import gc
import runpy
import sys
from pathlib import Path

# Objects that are made and stay before the youngest generation is looked through, and how often that happens before an
# older one is. By default 700, 10 and 10. What is found later costs an API server 30 MB.
THRESHOLDS = (50_000, 10, 10)


def command(*arguments: str) -> list[str]:
    """Return the command line of Airflow's command with these arguments."""
    return [sys.executable, str(Path(__file__).resolve()), *arguments]


def main() -> None:
    """Run Airflow's command with this process's arguments."""
    gc.set_threshold(*THRESHOLDS)
    # As with -m: modules of this folder are not Airflow's.
    sys.path[0] = str(Path.cwd())
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
