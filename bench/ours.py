"""Measure the load engine, run by its own command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.aws import Server
from bench.figures import Figures
from tools.settings import ROOT

# More than can be sent in the time, so that the time ends the run.
_REQUESTS = 10_000_000


def measure(server: Server, endpoint: str, data: Path, concurrency: int, seconds: float) -> Figures:
    """Send load by the engine, from one process.

    :param server: the local AWS
    :param endpoint: its name
    :param data: labelled rows to send in turn
    :param concurrency: requests in flight
    :param seconds: how long to send
    """
    options = {
        "stages": f"{concurrency}:{_REQUESTS}",
        "processes": 1,
        "max-requests": _REQUESTS,
        "max-concurrency": concurrency,
        "max-seconds": seconds,
    }
    phase = run(server, endpoint, data, options)
    latency = phase["latency_ms"]
    return Figures(phase["rps"], phase["answered"], latency["p50"], latency["p99"], _cpu_us(phase))


def run(server: Server, endpoint: str, data: Path, options: Mapping[str, object]) -> dict[str, Any]:
    """Run the engine's command.

    :param server: where the endpoint is
    :param endpoint: its name
    :param data: labelled rows to send in turn
    :param options: further options of the command
    :returns: the one phase of the report
    """
    report = server.home / "load.json"
    given = {"data": data, "report": report, **options}
    command = [sys.executable, "-m", "slipway.load", endpoint, *(f"--{name}={value}" for name, value in given.items())]
    environment = {**os.environ, **server.variables, "PYTHONPATH": str(ROOT / "plugins"), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if not report.exists():
        raise SystemExit(f"bench: the load engine did not run:\n{done.stdout}{done.stderr}")
    [phase] = json.loads(report.read_text())["phases"]
    report.unlink()
    if phase["errors"]:
        raise SystemExit(f"bench: requests failed: {phase['errors']}")
    return dict(phase)


def _cpu_us(phase: dict[str, Any]) -> float:
    return phase["cpu_seconds"] / phase["answered"] * 1e6
