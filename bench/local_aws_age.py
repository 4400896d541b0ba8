"""`python -m bench.local_aws_age`: what a history of metrics costs the local AWS itself.

Two local AWSes run side by side with the same alarms. One has an hour of the metrics of some endpoints, the other has
thirty days of them, put and aggregated day by day as CloudWatch does. Ratios of CPU time say what age costs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from bench.measured_aws import SAVED_SECONDS, Running
from bench.metric_history import INSTANCE_NAMESPACE, NAMESPACE, fill, metrics_of
from bench.report import Bound, Part
from local_aws.metrics.retention import DAY_SECONDS, HOUR_SECONDS

FRESH, AGED = "fresh", "aged"
IDLE, BESIDE_SAVES = "while nothing is saved", "beside saves"
MOST_STEP_RATIO, MOST_WAIT_MS, MOST_STOP_SECONDS = 1.5, 200.0, 3.0
_STEPS = 20
_IDLE_SECONDS = 65


def put_alarms(running: Running, endpoints: int) -> None:
    """Make the three alarms of each endpoint."""
    for number in range(endpoints):
        for metric, statistic in (
            ("Invocation5XXErrors", {"Statistic": "Average"}),
            ("Invocation4XXErrors", {"Statistic": "Average"}),
            ("ModelLatency", {"ExtendedStatistic": "p99"}),
        ):
            name = f"endpoint-{number}"
            running.cloudwatch.put_metric_alarm(
                AlarmName=f"{name}-{metric}",
                Namespace=NAMESPACE,
                MetricName=metric,
                Dimensions=[{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "AllTraffic"}],
                Period=60,
                EvaluationPeriods=5,
                Threshold=1e9,
                ComparisonOperator="GreaterThanThreshold",
                TreatMissingData="notBreaching",
                **statistic,
            )


def make_stack(running: Running, name: str) -> None:
    """Make a stack of topics, whose steps are all the same."""
    topics = {f"T{n}": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": f"{name}-{n}"}} for n in range(_STEPS)}
    running.cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": topics}))
    while (status := _status(running, name)) != "CREATE_COMPLETE":
        if not status.endswith("IN_PROGRESS"):
            raise SystemExit(f"bench: stack {name} is {status}")
        time.sleep(0.1)


def _status(running: Running, stack: str) -> str:
    return str(running.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])


def read_hours(running: Running, endpoints: int, times: int) -> None:
    """Read the last hour of each endpoint, as the board's survey does."""
    now = time.time()
    queries = [
        {
            "Id": f"q{number}{place}",
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "EndpointName", "Value": f"endpoint-{number}"},
                        {"Name": "VariantName", "Value": "AllTraffic"},
                    ],
                },
                "Period": 60,
                "Stat": statistic,
            },
        }
        for number in range(endpoints)
        for place, (metric, statistic) in enumerate((("Invocations", "Sum"), ("ModelLatency", "p99")))
    ]
    for _ in range(times):
        found = running.cloudwatch.get_metric_data(
            StartTime=datetime.fromtimestamp(now - HOUR_SECONDS, UTC),
            EndTime=datetime.fromtimestamp(now, UTC),
            MetricDataQueries=queries,
        )
        # Making the history may have taken a part of the hour.
        if not all(result["Values"] for result in found["MetricDataResults"]):
            raise SystemExit("bench: metrics are missing")


def put_minute(running: Running, endpoints: int) -> None:
    """Put a minute of all metrics."""
    for number in range(endpoints):
        for space in (NAMESPACE, INSTANCE_NAMESPACE):
            data = [
                {
                    "MetricName": metric.name,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
                    "Values": [1.0, 2.0],
                }
                for metric in metrics_of(f"endpoint-{number}")
                if metric.namespace == space
            ]
            running.cloudwatch.put_metric_data(Namespace=space, MetricData=data)


class Waits(NamedTuple):
    """What small calls waited at most, in milliseconds.

    :param cpu: CPU time of the event loop meanwhile
    :param clock: by the clock, with what the client itself takes
    """

    cpu: float
    clock: float


def longest_waits(running: Running, work: Callable[[], None]) -> Waits:
    """Ask small calls one after the other while something is done.

    The clock also says how busy the machine is; the CPU time of the event loop does not.
    """
    ended, cpu, clock = threading.Event(), [0.0], [0.0]
    sts = running.server.client("sts")
    # The first call connects.
    sts.get_caller_identity()

    def ask() -> None:
        while not ended.wait(0.01):
            before, began = running.loop_cpu_seconds(), time.perf_counter()
            sts.get_caller_identity()
            clock.append(1000 * (time.perf_counter() - began))
            cpu.append(1000 * (running.loop_cpu_seconds() - before))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        work()
    finally:
        ended.set()
        thread.join()
    return Waits(max(cpu), max(clock))


def save_much(running: Running, endpoints: int, name: str) -> None:
    """Make stacks and put metrics, until both are saved."""
    make_stack(running, name)
    put_minute(running, endpoints)
    make_stack(running, f"{name}-again")
    time.sleep(SAVED_SECONDS)


def measure_waits(
    sides: Mapping[str, Running], endpoints: int, rounds: int, say: Callable[[str], None]
) -> dict[str, dict[str, Waits]]:
    """Measure what calls wait in both local AWSes, in turn: while nothing is saved, and beside saves."""
    found: dict[str, dict[str, Waits]] = {}
    for when in (IDLE, BESIDE_SAVES):
        say(f"what a call waits at most, {when}")
        taken: dict[str, list[Waits]] = {name: [] for name in sides}
        for number in range(rounds):
            for name, running in sides.items():
                work = partial(time.sleep, SAVED_SECONDS)
                if when == BESIDE_SAVES:
                    work = partial(save_much, running, endpoints, f"w{number}")
                taken[name].append(longest_waits(running, work))
        # The least of the longest waits, because a busy machine only adds.
        found[when] = {name: Waits(*map(min, zip(*each, strict=True))) for name, each in taken.items()}
    return found


def measure(days: int, endpoints: int, rounds: int, history: Path | None, say: Callable[[str], None]) -> Part:
    """Measure both local AWSes in turn.

    :param history: a folder that keeps what was put, for another run within the hour
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(_folder()))
        sides = {FRESH: Running(folder / FRESH), AGED: Running(folder / AGED)}
        now = int(time.time()) // 60 * 60
        points = {}
        for name, seconds in ((FRESH, HOUR_SECONDS), (AGED, days * DAY_SECONDS)):
            points[name] = endpoints * len(list(metrics_of(""))) * seconds // 60
            kept = history / name if history else None
            if kept and kept.exists():
                shutil.copytree(kept, sides[name].home / "aws")
                continue
            say(f"{name}: putting {seconds // HOUR_SECONDS} hours of {endpoints} endpoints")
            fill(sides[name].home / "aws", endpoints, seconds, now)
            if kept:
                shutil.copytree(sides[name].home / "aws", kept)
        size_mib = (sides[AGED].home / "aws/metrics.sqlite").stat().st_size / 2**20
        for running in sides.values():
            running.start()
            stack.callback(_end, running)
            put_alarms(running, endpoints)
            # The first of each reads descriptions of services, for instance.
            make_stack(running, "first")
            put_minute(running, endpoints)
        rows: list[tuple[str, float, float]] = []

        def both(what: str, work: Callable[[Running, int], float]) -> tuple[float, float]:
            say(what)
            found: dict[str, list[float]] = {FRESH: [], AGED: []}
            for number in range(rounds):
                for name, running in sides.items():
                    found[name].append(work(running, number))
            # The least, because a busy machine only adds.
            rows.append((what, min(found[FRESH]), min(found[AGED])))
            return rows[-1][1:]

        rows.append(("CPU s of a start", sides[FRESH].started_cpu_seconds, sides[AGED].started_cpu_seconds))
        fresh, aged = both(
            f"CPU s of a stack of {_STEPS} topics, and of saving it",
            lambda running, number: running.cost(lambda: make_stack(running, f"steps-{number}")),
        )
        both(
            "CPU s of putting a minute",
            lambda running, _: running.cost(lambda: put_minute(running, endpoints)),
        )
        both(
            "CPU s of reading an hour, ten times",
            lambda running, _: running.cost(lambda: read_hours(running, endpoints, 10)),
        )
        idle = f"CPU s of {_IDLE_SECONDS} s with {3 * endpoints} alarms"
        say(idle)
        before = {name: running.cpu_seconds() for name, running in sides.items()}
        time.sleep(_IDLE_SECONDS)
        rows.append((idle, sides[FRESH].cpu_seconds() - before[FRESH], sides[AGED].cpu_seconds() - before[AGED]))
        waits = measure_waits(sides, endpoints, rounds, say)
        for what, member in (("CPU ms", "cpu"), ("ms by the clock", "clock")):
            for when, found in waits.items():
                rows.append((f"{what} a call waits at most, {when}", *(getattr(found[name], member) for name in sides)))
        for running in sides.values():
            running.stop()
        rows.append(("s of a stop", sides[FRESH].stopped_seconds, sides[AGED].stopped_seconds))
    behind_saves = max(0.0, waits[BESIDE_SAVES][AGED].clock - waits[IDLE][AGED].clock)
    bounds = [
        Bound("a stack's steps, aged / fresh, CPU", aged / fresh, MOST_STEP_RATIO, -1),
        Bound("a call waits beside saves at most, aged, CPU ms", waits[BESIDE_SAVES][AGED].cpu, MOST_WAIT_MS, -1),
        # Less what the machine alone lets a call wait.
        Bound("the same by the clock, above what one waits without saves, ms", behind_saves, MOST_WAIT_MS, -1),
        Bound("stop, aged, s", rows[-1][2], MOST_STOP_SECONDS, -1),
    ]
    table = [(what, f"{young:.3g}", f"{old:.3g}", f"{old / young:.2f}") for what, young, old in rows]
    note = f"{points[AGED]:,} points were put in {days} days; the file has {size_mib:.0f} MiB."
    return Part(("", FRESH, AGED, "ratio"), table, bounds, {"rows": rows, "points": points, "mib": size_mib}, (note,))


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="slipway-bench-age-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end(running: Running) -> None:
    if not running.stopped_seconds:
        running.stop()


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the exit status says whether every bound was kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.local_aws_age", description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="of the aged one's history (30)")
    parser.add_argument("--endpoints", type=int, default=10, help="that have metrics (10)")
    parser.add_argument("--rounds", type=int, default=3, help="the least of the rounds counts (3)")
    parser.add_argument("--history", type=Path, help="keep what was put in this folder, or take it from there")
    parser.add_argument("--report", type=Path, help="write the figures as JSON")
    given, console = parser.parse_args(arguments), Console()

    def say(text: str) -> None:
        console.print(text, highlight=False)

    part = measure(given.days, given.endpoints, given.rounds, given.history, say)
    console.print()
    part.print(console)
    if given.report:
        given.report.write_text(json.dumps(part.to_json(), indent=2) + "\n")
    return 0 if part.kept else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
