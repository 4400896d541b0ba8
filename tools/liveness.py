"""Tell which running components do nothing: their HTTP server or heartbeat in Airflow has been silent for too long.

Only the standard library is used: `tools/watchdog.py` runs this in Airflow's containers.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

AIRFLOW_HEALTH = "/api/v2/monitor/health"
# Airflow's heartbeats: component → its key in the health page. A triggerer stops its own when the event loop of its
# triggers is silent: `[triggerer] runner_health_check_threshold`.
# https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/check-health.html
HEARTBEATS = {"scheduler": "scheduler", "triggerer": "triggerer", "dag-processor": "dag_processor"}

SILENCE_SECONDS = 35.0
# The dag-processor's first callback builds Airflow's API in the loop that beats, half a minute on a busy machine, and a
# callback that is cut off is news that nobody gets. No release waits for this component.
CALLBACK_SECONDS = {"dag-processor": 90.0}
# A component that has given no sign of life yet may still be importing.
START_SECONDS = 180.0
# Several heartbeats that are late together have one cause, such as a locked database, which no restart removes.
TOGETHER_SECONDS = 120.0
# A writer waits 5 s for SQLite's lock, and Airflow tries a write three times with pauses of at most a second.
# https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html#max-db-retries
SQLITE_SECONDS = 20.0
# A database that has been silent this long may be why others are silent too.
DATABASE_SECONDS = 10.0
# How long others may take to connect to a database that answers again, before their own silence counts.
RECONNECT_SECONDS = 30.0
PROBE_SECONDS = 2.0
# Short enough for a second try before a server counts as silent.
PROBE_TIMEOUT_SECONDS = 15.0
# The longest time between two looks that counts as silence: the machine or this process may have been suspended.
LONGEST_STEP_SECONDS = 10.0
# A component that has given signs of life this long has started well: its next stall does not count with earlier ones.
SETTLED_SECONDS = 60.0
MAX_DOUBLINGS = 3


@dataclass
class Pulse:
    """What was seen of one component since its process started; seconds count only while somebody looked."""

    process: int
    # The first sign that is seen may be that of the process before, so only a second one is this process's own.
    sign: str | None = None
    answered: bool = False
    silent_seconds: float = 0.0
    alive_seconds: float = 0.0
    # How often in a row it was restarted for its silence.
    stalls: int = 0
    signs: int = 0

    def see(self, sign: str | None, seconds: float) -> None:
        """Note what a look has found.

        :param sign: changes whenever the component works; None where nothing was seen
        :param seconds: the time since the look before
        """
        self.silent_seconds += min(seconds, LONGEST_STEP_SECONDS)
        alive = None not in (sign, self.sign) and sign != self.sign
        self.sign = sign or self.sign
        if not alive:
            return
        self.signs += 1
        # Airflow notes a first heartbeat before a component starts to work, on a busy machine half a minute before.
        self.answered = self.signs > 1
        self.alive_seconds += self.silent_seconds
        self.silent_seconds = 0.0
        if self.alive_seconds > SETTLED_SECONDS:
            self.stalls = 0


def stalled(pulses: Mapping[str, Pulse], patience_seconds: Mapping[str, float] | None = None) -> dict[str, float]:
    """Decide which components are to be restarted because they do nothing.

    :param pulses: component → what was seen of it
    :param patience_seconds: component → for how much longer it may be silent than others
    :returns: component → seconds of its silence
    """
    late = [name for name in HEARTBEATS if name in pulses and pulses[name].silent_seconds > SILENCE_SECONDS / 2]
    found = {}
    for name, pulse in pulses.items():
        limit = SILENCE_SECONDS if pulse.answered else START_SECONDS
        if name in late and len(late) > 1:
            limit = max(limit, TOGETHER_SECONDS)
        limit += (patience_seconds or {}).get(name, 0.0) + CALLBACK_SECONDS.get(name, 0.0)
        doublings = min(max(pulse.stalls - 1, 0), MAX_DOUBLINGS)
        if pulse.silent_seconds > limit * 2**doublings:
            found[name] = pulse.silent_seconds
    return found


@dataclass
class Probe:
    """Asks one server again and again in a thread of its own, because the answer of a stopped process never comes.

    :param ask: asks once and returns what `ask` below does
    """

    ask: Callable[[], bytes | None]
    # How many answers have come, and the last one's text: replaced together, because two threads use them.
    answers: tuple[int, bytes] = (0, b"")

    def start(self) -> None:
        """Start asking, until the program ends."""
        threading.Thread(target=self._ask_for_ever, daemon=True).start()

    def _ask_for_ever(self) -> None:
        while True:
            answer = self.ask()
            if answer is not None:
                self.answers = (self.answers[0] + 1, answer)
            time.sleep(PROBE_SECONDS)


def page_probe(url: str) -> Probe:
    """Build the probe of a page."""
    return Probe(partial(ask, url, PROBE_TIMEOUT_SECONDS))


def ask(url: str, timeout_seconds: float) -> bytes | None:
    """Read a page of this machine or network, without a proxy.

    :returns: its text, empty for an error page or a connection that the server closed; None when nobody answers
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_seconds) as response:
            return bytes(response.read())
    except (urllib.error.HTTPError, http.client.HTTPException, ConnectionResetError):
        # A process that is stopped or hung does not close connections either.
        return b""
    except urllib.error.URLError as error:
        return b"" if isinstance(error.reason, ConnectionResetError | BrokenPipeError) else None
    except OSError:
        return None


def heartbeats(page: bytes) -> dict[str, str]:
    """Read Airflow's health page.

    :returns: component → time of its last heartbeat; empty for any other page
    """
    try:
        health = json.loads(page)
        found = {name: health[key].get(f"latest_{key}_heartbeat") for name, key in HEARTBEATS.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {name: beat for name, beat in found.items() if beat}


@dataclass
class Watch:
    """The signs of life of the components of one Airflow.

    :param airflow: the probe of its health page, which also stands for the API server's own life
    :param servers: other components that answer
    :param patience_seconds: as in `stalled`
    :param database: which of the servers keeps Airflow's state, if one does; its answer is empty while it starts
    """

    airflow: Probe
    servers: Mapping[str, Probe] = field(default_factory=dict)
    patience_seconds: Mapping[str, float] = field(default_factory=dict)
    database: str | None = None
    pulses: dict[str, Pulse] = field(default_factory=dict)
    _looked: float | None = None
    _page: tuple[int, float] = (0, 0.0)
    # Since when the database takes connections.
    _connected: float | None = None

    def start(self) -> None:
        """Start asking the servers."""
        for probe in (self.airflow, *self.servers.values()):
            probe.start()

    def look(self, processes: Mapping[str, int], now: float) -> dict[str, float]:
        """Look at what has answered since the last call.

        :param processes: component → id of its running process; what is not running is not judged
        :param now: a monotonic clock
        :returns: as `stalled`
        """
        for name, process in processes.items():
            former = self.pulses.get(name)
            if former is None or former.process != process:
                self.pulses[name] = Pulse(process, stalls=former.stalls if former else 0)
        seconds = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        servers = {"api-server": self.airflow, **self.servers}
        for name in servers.keys() & processes.keys():
            self.pulses[name].see(str(servers[name].answers[0]), seconds)
        self._look_at_heartbeats(processes, now)
        if self.database is not None:
            self._look_at_database(self.database, processes, now)
        watched = [name for name in processes if name in servers or name in HEARTBEATS]
        found = stalled({name: self.pulses[name] for name in watched}, self.patience_seconds)
        for name in found:
            # It is about to be killed; should that take a moment, it is not a second stall.
            self.pulses[name].stalls += 1
            self.pulses[name].silent_seconds = 0.0
        return found

    def _look_at_heartbeats(self, processes: Mapping[str, int], now: float) -> None:
        """Judge the heartbeats by each new answer of the API server: while it is silent they are unknown."""
        count, page = self.airflow.answers
        beats = heartbeats(page)
        if count == self._page[0] or not beats:
            return
        seconds = now - self._page[1] if self._page[0] else 0.0
        self._page = (count, now)
        for name in HEARTBEATS.keys() & processes.keys():
            self.pulses[name].see(beats.get(name), seconds)

    def _look_at_database(self, name: str, processes: Mapping[str, int], now: float) -> None:
        """Forget the silence of Airflow's components while their database may be its cause."""
        pulse = self.pulses.get(name) if name in processes else None
        answers = pulse is not None and pulse.answered and pulse.silent_seconds <= DATABASE_SECONDS
        if not (answers and self.servers[name].answers[1]):
            self._connected = None
        elif self._connected is None:
            self._connected = now
        if self._connected is None or now - self._connected < RECONNECT_SECONDS:
            for waiting in {"api-server", *HEARTBEATS} & processes.keys():
                self.pulses[waiting].silent_seconds = 0.0
