"""The health check of Airflow's containers: `python -m tools.container_health [api-server|flower]`.

Without a name it reads what the container's watchdog has seen: `airflow jobs check` and `celery inspect ping` tell the
same, but import all of Airflow each time. Only the standard library is used.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from pathlib import Path

# The watchdog changes its time with each sign of life. The folder is the container's own, and empty after each start.
ALIVE = Path("/tmp/alive")  # noqa: S108
# Longer than the slowest component's pauses between signs, with a busy machine in mind.
FRESH_SECONDS = 30.0
TIMEOUT_SECONDS = 8.0
PAGES = {
    # Without Slipway's plugin the answer is a page of Airflow's, and no JSON.
    "api-server": "http://127.0.0.1:8080/slipway/guard/health",
    # https://flower.readthedocs.io/en/latest/api.html
    "flower": "http://127.0.0.1:5555/healthcheck",
}


def seen_alive(file: Path, now: float) -> bool:
    """Tell whether the watchdog has seen a sign of life lately.

    :param file: whose time of change is that of the last sign
    :param now: seconds since the epoch
    """
    return file.exists() and now - file.stat().st_mtime < FRESH_SECONDS


def main() -> int:
    """Return exit code 0 when the component of this container works."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in PAGES:
        return int(not seen_alive(ALIVE, time.time()))
    with urllib.request.urlopen(PAGES[name], timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 (http)
        body = answer.read()
    if name == "api-server":
        json.loads(body)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
