"""One sending process, which gets orders as from the process that starts it."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

from tests.conftest import ROOT


@contextmanager
def worker(port, **target):
    """Start a process that sends to a port; yield it, and the function that orders it to send a share."""
    to = {"base_url": f"http://127.0.0.1:{port}", "region": "r", "signing_name": "s", "endpoint_name": "e", **target}
    job = {"target": to, "rows": [["1", "2"]], "answers": {}, "credentials": ["AKIA", "secret", None]}
    process = subprocess.Popen(
        [sys.executable, "-m", "slipway.load.worker"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "plugins")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    def order(message):
        process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()

    def send(**share):
        order({"share": {"first": 0, "step": 1, "concurrency": 1, **share}, "starts_at": time.monotonic()})

    order({**job, "timeout_seconds": 60, "drain_seconds": 1})
    try:
        yield process, send
    finally:
        process.kill()
        process.communicate()


def test_a_phase_that_breaks_ends_the_process_though_more_orders_may_come(free_port):
    with worker(free_port, variant="blue–green") as (process, send):  # noqa: RUF001 (HTTP has no such header)
        send(requests=10)
        # Its input stays open: the end has to be its own.
        assert process.wait(timeout=60) == 1
        assert b"UnicodeEncodeError" in process.stderr.read()


def test_only_an_open_loop_is_woken_before_others_for_each_answer():
    with socket.create_server(("127.0.0.1", 0)) as endpoint, worker(endpoint.getsockname()[1]) as (process, send):
        endpoint.settimeout(60)
        for interval, policy in ((None, os.SCHED_BATCH), (0.001, os.SCHED_OTHER), (None, os.SCHED_BATCH)):
            send(requests=1, interval_seconds=interval)
            connection, _ = endpoint.accept()
            with connection:
                assert connection.recv(65_536).startswith(b"POST /endpoints/e/invocations")
                assert os.sched_getscheduler(process.pid) == policy
