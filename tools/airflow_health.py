"""The health check of containers without an HTTP server of their own: `python airflow_health.py triggerer`.

`airflow jobs check` does the same, but imports all of Airflow each time. This uses the standard library only.
"""

from __future__ import annotations

import json
import sys
import urllib.request

URL = "http://api-server:8080/api/v2/monitor/health"


def main() -> int:
    """Return exit code 0 when the component's last heartbeat is recent.

    https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/check-health.html
    """
    with urllib.request.urlopen(URL, timeout=8) as answer:
        return int(json.load(answer)[sys.argv[1]]["status"] != "healthy")


if __name__ == "__main__":
    raise SystemExit(main())
