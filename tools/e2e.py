"""Run the end-to-end tests against an instance with other settings than `make up`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from tools.settings import ROOT

# tests/e2e/conftest.py removes it and gives the variables to the instance that it starts.
PREFIX = "E2E_"


def run(arguments: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run pytest, and wait until it has stopped what it started, even after Ctrl-C or SIGTERM.

    :param arguments: for pytest.
    :param variables: the instance's SLIPWAY_ variables; not on the command line, because they may hold passwords.
    :returns: pytest's exit code.
    """
    command = [sys.executable, "-m", "pytest", "-m", "e2e", *arguments]
    environment = {**os.environ, **{f"{PREFIX}{name}": value for name, value in variables.items()}}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    signal.signal(signal.SIGTERM, lambda number, frame: process.send_signal(signal.SIGINT))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # Pytest has received Ctrl-C too.
            continue
