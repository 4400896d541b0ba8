"""What is done to the processes: killed, paused, a database restarted, a clock shifted."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.table import Table

from tests.faults.chaos import clocks
from tests.faults.chaos.victims import COMPONENTS, Victim, child_of, component_of, find
from tools.settings import Settings

KILL, PAUSE, RESTART, AHEAD, BEHIND = (
    "kill -9",
    "pause",
    "fast restart",
    "clock a minute ahead",
    "clock a minute behind",
)
DEEDS = (KILL, PAUSE, RESTART, AHEAD, BEHIND)
DATABASE = "database"
PROCESSES = ("task", *(kind for kind in COMPONENTS if kind != DATABASE))
# A pause of the longer ones is longer than what the supervisor and Airflow's heartbeats allow.
PAUSE_SECONDS = (5.0, 90.0)


@dataclass(frozen=True)
class Strike:
    """One blow.

    :param kind: what it hits: task, or one of COMPONENTS
    """

    deed: str
    kind: str


def possible(settings: Settings) -> tuple[list[Strike], list[str]]:
    """Say what can be done to a running instance.

    :returns: the strikes, kills twice as often as others; and what is left out, and why
    """
    pool = [Strike(KILL, kind) for kind in PROCESSES] * 2 + [Strike(PAUSE, kind) for kind in PROCESSES]
    left_out = []
    if component_of(settings, DATABASE):
        pool += [Strike(KILL, DATABASE), Strike(RESTART, DATABASE)]
    else:
        left_out.append("no database is restarted: this instance runs on SQLite, or on a server of its caller's")
    if clocks.can_be_shifted():
        pool += [Strike(deed, kind) for kind in PROCESSES if kind != "task" for deed in (AHEAD, BEHIND)]
    else:
        left_out.append("no clock is shifted: libfaketime does not work on this machine")
    return pool, left_out


def plan(pool: list[Strike], count: int, seed: int) -> list[Strike]:
    """Choose strikes in random order, each of the pool once before any comes again."""
    chance, chosen = random.Random(seed), list[Strike]()
    while len(chosen) < count:
        chosen += chance.sample(pool, len(pool))
    return chosen[:count]


@dataclass
class Striker:
    """Does it, and lets go on what it has paused."""

    settings: Settings
    pause_seconds: tuple[float, float] = PAUSE_SECONDS
    _paused: list[tuple[threading.Timer, Victim]] = field(default_factory=list)

    def strike(self, strike: Strike, chance: random.Random) -> str | None:
        """Do it, if there is somebody to do it to. :returns: what was done, in words"""
        victim = find(self.settings, strike.kind, chance)
        if victim is None:
            return None
        if strike.deed == PAUSE:
            return self._pause(victim, chance)
        if strike.deed in (AHEAD, BEHIND):
            return self._shift(strike, victim)
        number = signal.SIGINT if strike.deed == RESTART else signal.SIGKILL
        if strike.deed == RESTART:
            # Of a server's processes the first stops the others: https://www.postgresql.org/docs/current/server-shutdown.html
            victim = Victim(victim.kind, victim.pid)
        return f"{strike.deed} {_named(victim)}" if victim.send(number) else None

    def _pause(self, victim: Victim, chance: random.Random) -> str | None:
        if victim.kind == "triggerer" and not victim.family and chance.random() < 0.5:
            victim = child_of(self.settings, victim)
        seconds = chance.uniform(*self.pause_seconds)
        timer = threading.Timer(seconds, victim.send, [signal.SIGCONT])
        timer.daemon = True
        # Noted before it is stopped: an interrupt may come in between.
        self._paused.append((timer, victim))
        if not victim.send(signal.SIGSTOP):
            return None
        timer.start()
        return f"pause {_named(victim)} for {seconds:.0f} s"

    def _shift(self, strike: Strike, victim: Victim) -> str | None:
        seconds = clocks.SHIFT_SECONDS if strike.deed == AHEAD else -clocks.SHIFT_SECONDS
        clocks.shift_next_start(self.settings, strike.kind, seconds)
        if victim.send(signal.SIGKILL):
            return f"start {_named(victim)} again, its {strike.deed}"
        clocks.forget_shift(self.settings, strike.kind)
        return None

    def wait(self) -> None:
        """Wait until everything that is paused goes on."""
        for timer, _ in self._paused:
            if timer.is_alive():
                timer.join()

    def release(self) -> None:
        """Let everything go on that is paused, now."""
        for timer, victim in self._paused:
            # Not started yet, or not over.
            if timer.ident is None or timer.is_alive():
                timer.cancel()
                victim.send(signal.SIGCONT)

    def put_clocks_right(self) -> list[str]:
        """Kill each component whose clock is another one; it is started again with the machine's. :returns: which"""
        return [kind for kind, pid in clocks.shifted(self.settings).items() if Victim(kind, pid).send(signal.SIGKILL)]


def _named(victim: Victim) -> str:
    return f"{victim.kind}{' and its children' if victim.family else ''} (pid {victim.pid})"


def table(strikes: Iterable[Strike]) -> Table:
    """:returns: how often each was done, by what was hit"""
    counts = Counter(strikes)
    made = Table("", *DEEDS, title="what was done")
    for kind in (*PROCESSES, DATABASE):
        made.add_row(kind, *(str(counts[Strike(deed, kind)] or "") for deed in DEEDS))
    sums = (str(sum(count for strike, count in counts.items() if strike.deed == deed)) for deed in DEEDS)
    made.add_section()
    made.add_row("all", *sums)
    return made


def in_words(strikes: Iterable[Strike]) -> str:
    """:returns: the same in a line"""
    counts = Counter(strikes)
    return "; ".join(
        f"{deed}: {', '.join(f'{counts[strike]} {strike.kind}' for strike in counts if strike.deed == deed)}"
        for deed in DEEDS
        if any(strike.deed == deed for strike in counts)
    )
