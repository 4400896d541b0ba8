"""Find Debian's Prometheus for make test-metrics, install it where possible, and run one that asks one target."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import debian

PACKAGE = "prometheus"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
# Everything is on this machine: no proxy of the environment's may be asked for it.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PrometheusError(Exception):
    """Prometheus does not start, or refuses a query; the message says why."""


def ensure() -> str:
    """Find Prometheus, or install Debian's where this process may.

    :returns: its path
    :raises tools.debian.PackageError: naming the package, when it is missing and cannot be installed
    """
    return debian.ensure(PACKAGE, package=PACKAGE, needed_by="make test-metrics")


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus.

    :param url: such as http://127.0.0.1:9090
    """

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression now.

        :returns: the samples of the vector, each with ``metric`` and ``value``
        :raises PrometheusError: for an expression that it refuses
        """
        found: list[dict[str, Any]] = self._get("/api/v1/query", query=expression)["data"]["result"]
        return found

    def ready(self) -> bool:
        """Tell whether it answers queries."""
        try:
            with _OPENER.open(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _get(self, path: str, **query: str) -> Any:
        try:
            with _OPENER.open(f"{self.url}{path}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise PrometheusError(f"Prometheus refuses {query}: {error.read().decode()[:1000]}") from None


@contextmanager
def running(home: Path, port: int, target: int) -> Iterator[Prometheus]:
    """Run Prometheus until the block ends.

    :param home: a folder for its data and its log
    :param port: where it listens on this machine
    :param target: the port of this machine that it asks each second
    """
    config = home / "prometheus.json"
    # JSON is YAML too.
    scrape = {"job_name": "slipway", "scrape_interval": "1s", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}
    config.write_text(json.dumps({"scrape_configs": [scrape]}), encoding="utf-8")
    options = {
        "config.file": config,
        "storage.tsdb.path": home / "data",
        "web.listen-address": f"127.0.0.1:{port}",
    }
    command = [ensure(), *(f"--{name}={value}" for name, value in options.items())]
    with (home / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    found = Prometheus(f"http://127.0.0.1:{port}")
    try:
        until = time.monotonic() + _START_SECONDS
        while not found.ready():
            if process.poll() is not None or time.monotonic() > until:
                raise PrometheusError(f"Prometheus does not start:\n{(home / 'prometheus.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield found
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)
