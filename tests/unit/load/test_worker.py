"""One sending process, which gets orders as from the process that starts it."""

import json
import os
import subprocess
import sys
import time

from tests.conftest import ROOT


def test_a_phase_that_breaks_ends_the_process_though_more_orders_may_come(free_port):
    target = {"base_url": f"http://127.0.0.1:{free_port}", "region": "r", "signing_name": "s", "endpoint_name": "e"}
    credentials = ["AKIA", "secret", None]
    target["variant"] = "blue–green"  # noqa: RUF001 (HTTP has no such header)
    job = {"target": target, "rows": [["1", "2"]], "answers": {}, "credentials": credentials}
    share = {"first": 0, "step": 1, "requests": 10, "concurrency": 1}
    process = subprocess.Popen(
        [sys.executable, "-m", "slipway.load.worker"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "plugins")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for order in ({**job, "timeout_seconds": 5, "drain_seconds": 1}, {"share": share, "starts_at": time.monotonic()}):
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
    try:
        # Its input stays open: the end has to be its own.
        status = process.wait(timeout=60)
    finally:
        process.kill()
        _, said = process.communicate()
    assert status == 1
    assert b"UnicodeEncodeError" in said
