"""`make bench`: measure Slipway beside what it replaces and beside an upper bound, in one run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench import age, load, openloop, parsing, releases, waiting
from bench.installed import ToolError
from bench.report import Part
from tools.debian import PackageError
from tools.settings import ROOT

# What each letter measures; two of them are measured together.
_PARTS = {"a": "load", "b": "load", "c": "parsing", "d": "releases", "e": "waiting", "f": "age", "g": "openloop"}
_HELP = (
    "letters separated by commas: a and b, sending load beside the lab's method and beside wrk; c, parsing up to 1 000 "
    "models; d, a release beside an empty DAG and stock operators; e, an hour without uploads; f, an aged account "
    "beside a fresh one; g, the truth of an open loop beside autocannon and hey"
)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", type=_parts, default=_parts(",".join(_PARTS)), metavar="LETTERS", help=_HELP)
    parser.add_argument("--concurrency", type=int, default=100, help="requests in flight (100, the lab's second stage)")
    parser.add_argument("--seconds", type=float, default=5, help="length of each measurement of load (5)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of a, b, d and f (3)")
    parser.add_argument("--scale", type=float, default=1, help="the share of an aged account's history in f (1)")
    parser.add_argument("--report", type=Path, help="write the figures as JSON")
    return parser.parse_args(arguments)


def _parts(text: str) -> list[str]:
    chosen = set(text.split(","))
    if unknown := sorted(chosen - set(_PARTS)):
        raise argparse.ArgumentTypeError(f"there is no part {', '.join(unknown)}; choose from {', '.join(_PARTS)}")
    return list(dict.fromkeys(part for letter, part in _PARTS.items() if letter in chosen))


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    load_average = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, load average before: {load_average}"


def main() -> int:
    """Measure and print; the exit status says whether every figure is within its bound."""
    given, console = parse(sys.argv[1:]), Console()
    machine = _machine()
    console.print(machine, highlight=False, soft_wrap=True)

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    measures: dict[str, Callable[[], Part]] = {
        "load": lambda: load.measure(given.concurrency, given.seconds, given.rounds, say),
        "parsing": lambda: parsing.measure(say),
        "releases": lambda: releases.measure(given.rounds, say),
        "waiting": lambda: waiting.measure(say),
        "age": lambda: age.measure(given.rounds, given.scale, say),
        "openloop": lambda: openloop.measure(say),
    }
    # The measurements import Slipway itself.
    sys.path.insert(0, str(ROOT / "plugins"))
    found: dict[str, Part] = {}
    try:
        for name in given.only:
            say(f"--- {name}")
            found[name] = measures[name]()
    except (ToolError, PackageError) as error:
        print(f"make: {error}", file=sys.stderr)
        return 2
    for part in found.values():
        console.print()
        part.print(console)
    if given.report:
        document = {"machine": machine, "time": time.time(), "concurrency": given.concurrency}
        parts = {name: part.to_json() for name, part in found.items()}
        given.report.write_text(json.dumps({**document, "parts": parts}, indent=2) + "\n")
    return 0 if all(part.kept for part in found.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
