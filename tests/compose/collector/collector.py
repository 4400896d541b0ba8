"""Stands in for OpenTelemetry's collector: adds up Slipway's metrics for Prometheus, and lets traces pass unseen.

It listens where the collector's own file says.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry, start_http_server

from tests.otlp import receiver

# The first process of a container ends only by what it waits for.
ENDS = {signal.SIGTERM, signal.SIGINT}


def port(part: dict[str, Any]) -> int:
    return int(part["endpoint"].rpartition(":")[2])


def main() -> None:
    """Receive until the container is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", action="append", type=Path)
    first = yaml.safe_load(parser.parse_args().config[0].read_text())
    # Before there are threads, which take it over.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    with receiver(port(first["receivers"]["otlp"]["protocols"]["http"]), "0.0.0.0") as (received, _):  # noqa: S104
        registry = CollectorRegistry()
        registry.register(received)
        start_http_server(port(first["exporters"]["prometheus"]), registry=registry)
        signal.sigwait(ENDS)


if __name__ == "__main__":
    main()
