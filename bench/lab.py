"""The stress test of AWS's MLOps lab: a pool of threads, each with its own blocking boto3 client.

It runs in its own process, `python -m bench.lab`, so that nothing else uses its interpreter. It has every advantage
that the method allows: clients are made before the measurement starts, and connections are kept.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.aws import Server
from bench.figures import Figures
from tools.settings import ROOT


def measure(server: Server, endpoint: str, rows: list[str], concurrency: int, seconds: float) -> Figures:
    """Invoke an endpoint from threads.

    :param server: the local AWS
    :param endpoint: its name
    :param rows: rows to send in turn
    :param concurrency: number of threads
    :param seconds: how long to send
    """
    server_of = {"url": server.url, "variables": server.variables}
    job = {**server_of, "endpoint": endpoint, "rows": rows, "concurrency": concurrency, "seconds": seconds}
    done = subprocess.run(
        [sys.executable, "-m", "bench.lab"],
        input=json.dumps(job),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    return Figures(**json.loads(done.stdout))


def _threads(job: dict[str, Any]) -> Figures:
    server = Server(job["url"], Path(), job["variables"])
    clients = [server.client("sagemaker-runtime") for _ in range(job["concurrency"])]
    latencies: list[float] = []
    rows, ready = job["rows"], threading.Barrier(job["concurrency"] + 1)
    ends_at = [math.inf]

    def invoke(number: int) -> None:
        ready.wait()
        while (begun := time.perf_counter()) < ends_at[0]:
            row = rows[number % len(rows)]
            answer = clients[number % len(clients)].invoke_endpoint(
                EndpointName=job["endpoint"], ContentType="text/csv", Accept="text/csv", Body=row
            )
            answer["Body"].read()
            latencies.append(time.perf_counter() - begun)
            number += len(clients)

    with ThreadPoolExecutor(job["concurrency"]) as pool:
        running = [pool.submit(invoke, number) for number in range(job["concurrency"])]
        ready.wait()
        begun, used = time.perf_counter(), time.process_time()
        ends_at[0] = begun + job["seconds"]
        for one in running:
            one.result()
        elapsed, used = time.perf_counter() - begun, time.process_time() - used
    ranked = sorted(latencies)
    p50, p99 = (ranked[math.ceil(len(ranked) * share) - 1] * 1000 for share in (0.5, 0.99))
    return Figures(len(ranked) / elapsed, len(ranked), p50, p99, used / len(ranked) * 1e6)


if __name__ == "__main__":
    print(json.dumps(vars(_threads(json.load(sys.stdin)))))
