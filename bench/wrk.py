"""Run wrk, the HTTP load generator that the engine is compared with. https://github.com/wg/wrk"""

from __future__ import annotations

import json
import re
import resource
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.figures import Figures
from bench.installed import ToolError
from tools import debian

_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_COUNT = re.compile(r"(\d+) requests in")
_FAILED = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")
_UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
# All requests are built before the first is sent, so that Lua costs almost nothing.
_SCRIPT = """
local requests, number = {}, 0
function init(arguments)
%s
end
function request()
  number = number %% #requests + 1
  return requests[number]
end
"""
# Body and headers of one request.
Request = tuple[bytes, Mapping[str, str]]


def ensure() -> str:
    """Find wrk, or install Debian's where this process may.

    :returns: its path
    :raises tools.debian.PackageError: when it is missing and cannot be installed
    """
    return debian.ensure("wrk", package="wrk", needed_by="make bench")


def measure(url: str, requests: Sequence[Request], concurrency: int, seconds: float, folder: Path) -> Figures:
    """Send requests in turn, as fast as they are answered.

    :param url: where to send them
    :param requests: the requests
    :param concurrency: number of connections
    :param seconds: how long to send
    :param folder: where to write the script
    :raises ToolError: when a request fails, or wrk does
    """
    script = folder / "requests.lua"
    script.write_text(_SCRIPT % "\n".join(_added(*request) for request in requests))
    command = [
        ensure(),
        "-t1",
        f"-c{concurrency}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "60s",
        "--latency",
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*command, "-s", script, url], check=False, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or _FAILED.search(done.stdout):
        raise ToolError(f"wrk did not measure {url}:\n{done.stdout}{done.stderr}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    count = int(_found(_COUNT, done.stdout))
    return Figures(
        rps=float(_found(_RATE, done.stdout)),
        requests=count,
        p50_ms=_percentile(done.stdout, 50),
        p99_ms=_percentile(done.stdout, 99),
        cpu_us=used / count * 1e6,
    )


def _added(body: bytes, headers: Mapping[str, str]) -> str:
    fields = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items())
    return f'  requests[#requests + 1] = wrk.format("POST", nil, {{{fields}}}, {json.dumps(body.decode())})'


def _percentile(output: str, percent: int) -> float:
    value, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)", output).groups()  # type: ignore[union-attr]
    return float(value) * _UNIT_MS[unit]


def _found(pattern: re.Pattern[str], output: str) -> str:
    found = pattern.search(output)
    if found is None:
        raise ToolError(f"Unexpected output of wrk:\n{output}")
    return found[1]
