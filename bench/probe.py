"""A process that has loaded Airflow and runs jobs, which it gets as lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tools.settings import ROOT


class Probe:
    """Run a module of the benchmark that prints ``ready`` and then answers each line with a line.

    :param module: such as ``bench.parse_probe``
    :param home: Airflow's home
    :param variables: more environment variables
    """

    def __init__(self, module: str, home: Path, variables: Mapping[str, str] | None = None) -> None:
        self._module = module
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_"))}
        environment |= {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": os.pathsep.join((str(ROOT / "plugins"), str(ROOT))),
            **(variables or {}),
        }
        command = [sys.executable, "-m", module]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        self._line()
        return self

    def __exit__(self, *_: object) -> None:
        # It ends at the end of its input.
        self._process.communicate()

    def ask(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Run a job.

        :returns: its answer
        """
        assert self._process.stdin is not None  # noqa: S101 - a pipe, see above
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._line())
        return found

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - a pipe, see above
        # Airflow may also print to standard output.
        for line in self._process.stdout:
            if line.startswith(("ready", "{")):
                return line
        raise SystemExit(f"bench: {self._module} ended with status {self._process.wait()}; the reason is printed above")
