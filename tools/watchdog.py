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

from tools import container_signs
from tools.container_health import ALIVE
from tools.liveness import AIRFLOW_HEALTH, Probe, Watch, page_probe

AIRFLOW_URL = "http://127.0.0.1:8080"
LOOK_SECONDS = 1.0
EX_UNAVAILABLE = 69
# A worker that has lost its broker connects again after pauses of up to half a minute, and its end costs running tasks.
# https://docs.celeryq.dev/en/stable/userguide/configuration.html#broker-connection-retry
# A triggerer's first trigger that asks for a connection builds Airflow's API in the loop that beats, half a minute on a
# busy machine; meanwhile another triggerer has taken over its waits.
PATIENCE_SECONDS = {container_signs.WORKER: 120.0, "triggerer": 60.0}


def watch_of(name: str) -> Watch:
    """Build the watch of this container's component.

    :param name: `api-server`, which answers itself, or one of `tools/container_signs.py`
    """
    if name == "api-server":
        return Watch(page_probe(AIRFLOW_URL + AIRFLOW_HEALTH))
    signs = container_signs.of(name, lambda: ALIVE.touch())
    return Watch(Probe(lambda: None), {name: Probe(signs.ask)}, PATIENCE_SECONDS)


def run(name: str, command: list[str], watch: Watch) -> int:
    """Run a command until it ends or does nothing.

    :param name: the component
    :param command: what starts it
    :param watch: what tells whether it does something
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
    return run(sys.argv[1], sys.argv[2:], watch_of(sys.argv[1]))


if __name__ == "__main__":
    raise SystemExit(main())
