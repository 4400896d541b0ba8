"""Measure how fast load is sent, beside the lab's method and wrk, and what the gateway costs beside the model."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, replace

from botocore.credentials import ReadOnlyCredentials

from bench import aws, lab, ours, wrk
from bench.figures import Figures
from bench.report import Bound, Part
from demo import datasets
from tools.settings import REGION

# The figures of each method in each round.
Rounds = list[dict[str, Figures]]
LAB, OURS, CEILING, MODEL = "boto3 threads (the lab)", "the engine", "wrk", "wrk, model server alone"


def measure(concurrency: int, seconds: float, rounds: int, say: Callable[[str], None]) -> Part:
    """Start a local AWS with an endpoint, and send to it.

    :param concurrency: requests in flight
    :param seconds: length of each measurement
    :param rounds: the ratios are medians of this many rounds
    :param say: prints progress
    :raises tools.debian.PackageError: when wrk is not installed
    """
    wrk.ensure()
    with aws.local_aws() as server:
        return part(_measure(server, aws.deploy(server), (concurrency, seconds, rounds), say))


def _requests(server: aws.Server, rows: list[str]) -> list[wrk.Request]:
    """Sign the rows as the engine signs them."""
    from slipway.load.signing import RequestSigner, Target

    keys = server.variables["AWS_ACCESS_KEY_ID"], server.variables["AWS_SECRET_ACCESS_KEY"]
    signer = RequestSigner(Target(server.url, REGION, "sagemaker", aws.ENDPOINT), ReadOnlyCredentials(*keys, None))
    return [(row.encode(), dict(signer.headers(row.encode()))) for row in rows]


def _measure(
    server: aws.Server, held_out: list[list[float]], given: tuple[int, float, int], say: Callable[[str], None]
) -> Rounds:
    rows = [datasets.features(row) for row in held_out]
    data = server.home / "rows.csv"
    data.write_bytes(datasets.to_csv(held_out))
    many, seconds, count = given
    endpoint = f"{server.url}/endpoints/{aws.ENDPOINT}/invocations"
    pid, port = aws.model_server(server)
    model = f"http://127.0.0.1:{port}/invocations"
    plain = [(row.encode(), {"Content-Type": "text/csv", "Accept": "text/csv"}) for row in rows]
    ways: dict[str, Callable[[], Figures]] = {
        LAB: lambda: lab.measure(server, aws.ENDPOINT, rows, many, seconds),
        OURS: lambda: ours.measure(server, aws.ENDPOINT, data, many, seconds),
        CEILING: lambda: wrk.measure(endpoint, _requests(server, rows), many, seconds, server.home),
        MODEL: lambda: wrk.measure(model, plain, many, seconds, server.home),
    }
    rounds: Rounds = []
    # Side by side: other load on the machine affects all methods of a round, and ratios are made within a round.
    for number in range(1, count + 1):
        rounds.append({})
        for name, measure in ways.items():
            gateway, model_server = aws.cpu_seconds(server.pid), aws.cpu_seconds(pid)
            sent = measure()
            rounds[-1][name] = replace(
                sent,
                gateway_us=(aws.cpu_seconds(server.pid) - gateway) / sent.requests * 1e6,
                model_us=(aws.cpu_seconds(pid) - model_server) / sent.requests * 1e6,
            )
            say(f"round {number}: {name}: {rounds[-1][name].rps:.0f}/s")
    return rounds


def _ratio(rounds: Rounds, one: str, other: str, member: str = "rps") -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(getattr(each[one], member) / getattr(each[other], member) for each in rounds)


def part(rounds: Rounds) -> Part:
    """Compare the methods.

    :param rounds: the figures of each round
    """
    members = ("rps", "p50_ms", "p99_ms", "cpu_us", "gateway_us", "model_us")
    rows = []
    for name in rounds[0]:
        values = [statistics.median(getattr(each[name], member) for each in rounds) for member in members]
        rows.append((name, *(f"{value:.{digits}f}" for value, digits in zip(values, (0, 1, 1, 0, 0, 0), strict=True))))
    gateway = statistics.median(each[CEILING].gateway_us / each[CEILING].model_us for each in rounds)
    return Part(
        ("a, b: load", "per second", "p50 ms", "p99 ms", "CPU µs: sender", "gateway", "model server"),
        rows,
        [
            Bound("a: engine / boto3 threads, requests per second", _ratio(rounds, OURS, LAB), 4.0, 1),
            Bound("a: engine / boto3 threads, p99", _ratio(rounds, OURS, LAB, "p99_ms"), 1.0, -1),
            Bound("b: engine / wrk, requests per second", _ratio(rounds, OURS, CEILING), 0.9, 1),
            Bound("b: wrk to the endpoint / wrk to the model server", _ratio(rounds, CEILING, MODEL), 0.5, 1),
            Bound("b: CPU of the gateway / CPU of the model server, wrk to the endpoint", gateway, 1.5, -1),
        ],
        [{name: asdict(figures) for name, figures in each.items()} for each in rounds],
    )
