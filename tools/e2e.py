"""Runs the end-to-end tests for an instance of another kind than `make up` starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from tools.settings import ROOT

# tests/e2e/conftest.py takes it off and hands the rest to the instance that it starts.
PREFIX = "E2E_"


def run(arguments: Sequence[str], variables: Mapping[str, str]) -> int:
    """Runs pytest, and stays until it has stopped what it started: at Ctrl-C, and at SIGTERM, too.

    :param arguments: for pytest.
    :param variables: the instance's SLIPWAY_ variables; not in the command line, for they may hold passwords.
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
            # The terminal has told pytest as well.
            continue
