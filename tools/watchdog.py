"""Run a component of Airflow in its container, and end when it does nothing: `python -m tools.watchdog triggerer …`.

Docker starts a container again that has ended, not one that is unhealthy.
https://docs.docker.com/engine/containers/start-containers-automatically/
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

from tools.liveness import AIRFLOW_HEALTH, Watch, page_probe

AIRFLOW_URL = "http://api-server:8080"
LOOK_SECONDS = 1.0
EX_UNAVAILABLE = 69


def run(name: str, command: list[str], airflow_url: str) -> int:
    """Run a command until it ends or does nothing.

    :param name: the component, as in `tools/liveness.py`
    :param command: what starts it
    :param airflow_url: the API server, which knows the heartbeats
    :returns: the command's exit code, or another one when it was killed
    """
    started: list[subprocess.Popen[bytes]] = []
    asked: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        asked.append(number)
        for one in started:
            one.send_signal(number)

    # Before the start: the request may come as soon as the command runs.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    child = subprocess.Popen(command, start_new_session=True)
    started.append(child)
    if asked:
        child.send_signal(asked[-1])
    watch = Watch(page_probe(airflow_url + AIRFLOW_HEALTH))
    watch.start()
    while (code := child.poll()) is None:
        silent = watch.look({name: child.pid}, time.monotonic()).get(name)
        if silent is not None:
            print(f"{name} did not answer for {silent:.0f} s; its container ends", file=sys.stderr, flush=True)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            return EX_UNAVAILABLE
        time.sleep(LOOK_SECONDS)
    return code if code >= 0 else 128 - code


def main() -> int:
    """Run the command of the arguments, of which the first is the component's name."""
    return run(sys.argv[1], sys.argv[2:], AIRFLOW_URL)


if __name__ == "__main__":
    raise SystemExit(main())
