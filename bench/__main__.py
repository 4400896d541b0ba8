"""`make bench`: how fast load is sent, against what it replaces and against a ceiling, side by side in one run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from botocore.credentials import ReadOnlyCredentials
from rich.console import Console
from rich.table import Table

from bench import aws, lab, ours, wrk
from bench.figures import Figures
from demo import datasets
from tools.settings import ACCOUNT, REGION, ROOT

# What each way gave in each round.
Rounds = list[dict[str, Figures]]
LAB, OURS, CEILING, MODEL = "boto3 threads (the lab)", "the engine", "wrk", "wrk, model server alone"


def _requests(server: aws.Server, rows: list[str]) -> list[wrk.Request]:
    """Sign the rows as the engine signs them."""
    sys.path.insert(0, str(ROOT / "plugins"))
    from slipway.load.signing import Signer, Target

    signer = Signer(Target(server.url, REGION, "sagemaker", aws.ENDPOINT), ReadOnlyCredentials(ACCOUNT, "local", None))
    return [(row.encode(), dict(signer.headers(row.encode()))) for row in rows]


def _measure(server: aws.Server, held_out: list[list[float]], given: argparse.Namespace, console: Console) -> Rounds:
    rows = [datasets.features(row) for row in held_out]
    data = server.home / "rows.csv"
    data.write_bytes(datasets.to_csv(held_out))
    many, seconds = given.concurrency, given.seconds
    endpoint = f"{server.url}/endpoints/{aws.ENDPOINT}/invocations"
    model = f"http://127.0.0.1:{aws.model_server_port(server)}/invocations"
    plain = [(row.encode(), {"Content-Type": "text/csv", "Accept": "text/csv"}) for row in rows]
    ways: dict[str, Callable[[], Figures]] = {
        LAB: lambda: lab.measure(server, aws.ENDPOINT, rows, many, seconds),
        OURS: lambda: ours.measure(server, aws.ENDPOINT, data, many, seconds),
        CEILING: lambda: wrk.measure(endpoint, _requests(server, rows), many, seconds, server.home),
        MODEL: lambda: wrk.measure(model, plain, many, seconds, server.home),
    }
    rounds: Rounds = []
    # Side by side: what else the machine does meets every way of a round alike, and the ratios are a round's own.
    for number in range(1, given.rounds + 1):
        rounds.append({})
        for name, measure in ways.items():
            rounds[-1][name] = measure()
            console.print(f"round {number}: {name}: {rounds[-1][name].rps:.0f}/s", highlight=False)
    return rounds


def _ratio(rounds: Rounds, one: str, other: str, member: str = "rps") -> float:
    """The median of the rounds' ratios."""
    return statistics.median(getattr(each[one], member) / getattr(each[other], member) for each in rounds)


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, load average before: {load}"


def main() -> int:
    """Measure, print, and tell whether the figures are what they should be."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--concurrency", type=int, default=100, help="requests in flight (100, the lab's second stage)")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="the ratios are medians of so many")
    parser.add_argument("--report", type=Path, help="write the figures as JSON")
    given, console = parser.parse_args(), Console()
    machine = _machine()
    console.print(machine, highlight=False, soft_wrap=True)
    try:
        wrk.ensure()
        with aws.local_aws() as server:
            rounds = _measure(server, aws.deploy(server), given, console)
    except wrk.WrkError as error:
        print(f"make: {error}", file=sys.stderr)
        return 2
    ratios = {
        "a: engine / boto3 threads, requests per second": (_ratio(rounds, OURS, LAB), 4.0, 1),
        "a: engine / boto3 threads, p99": (_ratio(rounds, OURS, LAB, "p99_ms"), 1.0, -1),
        "b: engine / wrk, requests per second": (_ratio(rounds, OURS, CEILING), 0.5, 1),
        "wrk to the endpoint / wrk to the model server": (_ratio(rounds, CEILING, MODEL), 0.5, 1),
    }
    _print(console, rounds, ratios)
    if given.report:
        document = {"machine": machine, "time": time.time(), "concurrency": given.concurrency}
        figures = [{name: asdict(figure) for name, figure in each.items()} for each in rounds]
        ratio = {name: value for name, (value, _, _) in ratios.items()}
        given.report.write_text(json.dumps({**document, "rounds": figures, "ratios": ratio}, indent=2) + "\n")
    return 0 if all(sign * (value - bound) >= 0 for value, bound, sign in ratios.values()) else 1


def _print(console: Console, rounds: Rounds, ratios: dict[str, tuple[float, float, int]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("medians", "per second", "p50 ms", "p99 ms", "sender's CPU µs"):
        table.add_column(column, justify="left" if column == "medians" else "right")
    members = ("rps", "p50_ms", "p99_ms", "cpu_us")
    for name in rounds[0]:
        rps, p50, p99, cpu = (statistics.median(getattr(each[name], member) for each in rounds) for member in members)
        table.add_row(name, f"{rps:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{cpu:.0f}")
    console.print(table)
    for name, (value, bound, sign) in ratios.items():
        mark = "[green]✓[/]" if sign * (value - bound) >= 0 else "[red]✗[/]"
        console.print(f"{mark} {name}: {value:.2f} (at {'least' if sign > 0 else 'most'} {bound:g})", highlight=False)


if __name__ == "__main__":
    raise SystemExit(main())
