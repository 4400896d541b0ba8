"""The command line, as a person calls it against a running instance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.instance import Instance
from tools import environment
from tools.settings import ROOT


@dataclass(frozen=True)
class Said:
    """What a command has printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


@dataclass(frozen=True)
class Person:
    """Somebody with a name and a password in Airflow and an operator's key in AWS.

    :param home: has their configuration and caches; not those of who runs the tests
    """

    instance: Instance
    user: str
    home: Path

    def __call__(self, *words: str, typed: str = "") -> Said:
        """Call a command; it ends when the release asks, ends, or refuses."""
        settings = self.instance.settings
        mine = {
            **environment.user_variables(settings),
            "PYTHONPATH": str(ROOT / "plugins"),
            "SLIPWAY_INCLUDE_FOLDER": str(self.instance.include),
            "SLIPWAY_AIRFLOW_USER": self.user,
            "SLIPWAY_AIRFLOW_PASSWORD": environment.passwords(settings)[self.user],
            "XDG_CONFIG_HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home),
            "AIRFLOW_HOME": str(self.home / "airflow"),
        }
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_", "SLIPWAY"))
        }
        done = subprocess.run(
            [sys.executable, "-m", "slipway.command", *words],
            cwd=self.home,
            env=kept | mine,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)
