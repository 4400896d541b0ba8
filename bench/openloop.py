"""Measure whether an open loop tells the truth about a server that stalls, beside autocannon and hey.

A load generator that waits for an answer before it sends what was due meanwhile, and counts from the sending, leaves
out most of a stall (coordinated omission).
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import installed, ours
from bench.aws import ENDPOINT, Server, free_port
from bench.report import Bound, Part
from bench.stalls import SCRIPT, percentile
from tools import debian
from tools.settings import REGION, ROOT

OURS, AUTOCANNON, HEY = "the engine", "autocannon -R", "hey -q"
# Far fewer than are due in a stall, as a pool of clients has.
CONNECTIONS = 10
PERCENTS = (50, 90, 99, 99.9, 100)
_MOST_PERCENT_OFF = 2.0
_TIMEOUT_SECONDS = 60
_ROW = "5.1,3.5,1.4,0.2"


@dataclass(frozen=True)
class Latencies:
    """What a load generator says about a run.

    :param requests: how many were answered
    :param ms: percentiles in milliseconds, in the order of `PERCENTS`
    """

    requests: int
    ms: tuple[float, ...]


def expected() -> Latencies:
    """Return what follows from the script."""
    due = SCRIPT.latencies()
    return Latencies(len(due), tuple(percentile(due, percent) * 1000 for percent in PERCENTS))


def measure(say: Callable[[str], None]) -> Part:
    """Have each load generator send at the script's rate to a server of its own.

    :param say: prints progress
    :raises bench.installed.ToolError: when autocannon is missing, or one of them fails
    :raises tools.debian.PackageError: when hey is missing
    """
    autocannon, hey = installed.autocannon(), debian.ensure("hey", package="hey", needed_by="make bench")
    tools: dict[str, Callable[[Server], Latencies]] = {
        OURS: _ours,
        AUTOCANNON: lambda server: _autocannon(autocannon, server),
        HEY: lambda server: _hey(hey, server),
    }
    found = {}
    for name, run in tools.items():
        with _server() as server:
            found[name] = run(server)
        say(f"{name}: {found[name].requests} requests")
    return part(found)


@contextlib.contextmanager
def _server() -> Iterator[Server]:
    """Run the server that stalls."""
    port = free_port()
    command = [sys.executable, "-m", "bench.stalls", str(port)]
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-") as home,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            if process.stdout is None or not process.stdout.readline():
                raise SystemExit("bench: the server that stalls did not start")
            url = f"http://127.0.0.1:{port}"
            variables = {
                "AWS_ENDPOINT_URL": url,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ACCESS_KEY_ID": "bench",
                "AWS_SECRET_ACCESS_KEY": "bench",
            }
            yield Server(url, Path(home), variables)
        finally:
            process.terminate()


def _ours(server: Server) -> Latencies:
    data = server.home / "rows.csv"
    data.write_text(f"0,{_ROW}\n")
    options = {"rate": SCRIPT.rate_rps, "seconds": SCRIPT.seconds, "concurrency": CONNECTIONS, "processes": 1}
    phase = ours.run(server, ENDPOINT, data, options)
    latency = phase["latency_ms"]
    return Latencies(phase["answered"], tuple(latency[_name(percent)] for percent in PERCENTS))


def _name(percent: float) -> str:
    return "max" if percent == 100 else f"p{percent:g}"


def _autocannon(path: str, server: Server) -> Latencies:
    options = ["-c", CONNECTIONS, "-d", SCRIPT.seconds, "-R", SCRIPT.rate_rps, "-t", _TIMEOUT_SECONDS, "-j", "-n"]
    request = ["-m", "POST", "-H", "Content-Type=text/csv", "-b", _ROW]
    latency = (answer := json.loads(_output([path, *options, *request, _url(server)])))["latency"]
    names = [_name(percent).replace(".", "_") for percent in PERCENTS]
    return Latencies(answer["requests"]["total"], tuple(float(latency[name]) for name in names))


def _hey(path: str, server: Server) -> Latencies:
    # Its rate is each connection's own. https://github.com/rakyll/hey
    rate = SCRIPT.rate_rps / CONNECTIONS
    options = ["-c", CONNECTIONS, "-z", f"{SCRIPT.seconds:g}s", "-q", f"{rate:g}", "-t", _TIMEOUT_SECONDS, "-o", "csv"]
    output = _output([path, *options, "-m", "POST", "-T", "text/csv", "-d", _ROW, _url(server)])
    times = [float(row["response-time"]) * 1000 for row in csv.DictReader(io.StringIO(output))]
    return Latencies(len(times), tuple(percentile(times, percent) for percent in PERCENTS))


def _url(server: Server) -> str:
    return f"{server.url}/endpoints/{ENDPOINT}/invocations"


def _output(command: list[object]) -> str:
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
    if done.returncode:
        raise installed.ToolError(f"{command[0]} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.stdout


def part(found: Mapping[str, Latencies]) -> Part:
    """Compare what was measured with what follows from the script.

    :param found: by load generator
    """
    right = expected()
    off = {name: _percent_off(latencies, right) for name, latencies in found.items()}
    rows = [("the script", right, ""), *((name, found[name], f"{off[name]:.1f}") for name in found)]
    return Part(
        ("g: open loop", "requests", *(f"{_name(percent)} ms" for percent in PERCENTS), "% off at most"),
        [(name, f"{each.requests}", *(f"{value:.0f}" for value in each.ms), most) for name, each, most in rows],
        [Bound("g: the engine, percentiles off the script's, %", off[OURS], _MOST_PERCENT_OFF, -1)],
        {name: {**asdict(each), "percent_off": off.get(name)} for name, each, _ in rows},
    )


def _percent_off(measured: Latencies, right: Latencies) -> float:
    return max(abs(one / other - 1) for one, other in zip(measured.ms, right.ms, strict=True)) * 100
