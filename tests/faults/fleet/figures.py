"""What a fleet takes while it releases: calls of AWS, rows of the database, worker slots, triggers and their memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, func, select, table, text

from tests.faults.chaos.victims import component_family
from tests.instance import Instance
from tools import database

# Tasks that never wait in a triggerer: Airflow keeps when such a task was queued and when it began.
STRAIGHT = ("process_request", "evaluate", "register", "test_dev", "collect_garbage")
_TABLES = "SELECT relname FROM pg_stat_user_tables ORDER BY relname"
_AIRFLOWS_CALLERS = "slipway-airflow"


@dataclass
class Figures:
    """What is read of one instance while its releases run.

    :param slots: tasks that ran at a look, at most
    :param triggers: waits at a look, at most
    :param memory_mib: of both triggerers at a look, with what they share counted in each process, at most
    """

    instance: Instance
    slots: int = 0
    triggers: int = 0
    memory_mib: float = 0.0
    _calls: int = 0
    _rows: Counter[str] = field(default_factory=Counter)
    _idle_mib: float = 0.0

    def begin(self) -> None:
        """Note what there is before the first upload."""
        self._calls = len(self._ledger())
        self._rows = self._count()
        self._idle_mib = self._triggerers_mib()

    def look(self) -> None:
        """Note the most of what comes and goes."""
        with self._engine().connect() as connection:
            running = connection.scalar(text("SELECT count(*) FROM task_instance WHERE state = 'running'"))
            waiting = connection.scalar(text('SELECT count(*) FROM "trigger"'))
        self.slots, self.triggers = max(self.slots, running or 0), max(self.triggers, waiting or 0)
        self.memory_mib = max(self.memory_mib, self._triggerers_mib())

    def end(self, releases: int) -> dict[str, Any]:
        """Return the figures.

        :param releases: how many there were
        """
        calls = Counter(f"{call['service']} {call['operation']}" for call in self._ledger()[self._calls :])
        rows = self._count() - self._rows
        return {
            "worker slots used, at most": self.slots,
            "triggers, at most": self.triggers,
            "memory of the triggerers, MiB": {"idle": round(self._idle_mib), "at most": round(self.memory_mib)},
            "seconds from queued to begun": self._queue_times(),
            "AWS calls per release": _each(calls, releases),
            "database rows per release": _each(rows, releases),
        }

    def _ledger(self) -> list[dict[str, Any]]:
        return [call for call in self.instance.ledger() if _AIRFLOWS_CALLERS in str(call["caller"])]

    def _engine(self) -> Engine:
        return create_engine(database.url(self.instance.settings), poolclass=NullPool)

    def _count(self) -> Counter[str]:
        with self._engine().connect() as connection:
            tables = list(connection.scalars(text(_TABLES)))
            counts = [(name, select(func.count()).select_from(table(name))) for name in tables]
            return Counter({name: connection.scalar(count) or 0 for name, count in counts})

    def _queue_times(self) -> dict[str, float]:
        query = "SELECT extract(epoch FROM start_date - queued_dttm) FROM task_instance WHERE task_id = ANY(:names) "
        query += "AND try_number = 1 AND start_date >= queued_dttm"
        with self._engine().connect() as connection:
            found = sorted(float(one) for one in connection.scalars(text(query), {"names": list(STRAIGHT)}))
        if not found:
            return {}
        at = {"median": median(found), "p95": found[int(0.95 * (len(found) - 1))], "most": found[-1]}
        return {"tasks": len(found), **{name: round(seconds, 1) for name, seconds in at.items()}}

    def _triggerers_mib(self) -> float:
        pids = component_family(self.instance.settings, "triggerer")
        return sum(_resident_mib(pid) for pid in pids)


def _each(counts: Counter[str], releases: int) -> dict[str, float]:
    found = {name: round(count / releases, 1) for name, count in counts.most_common() if count > 0}
    return {"all": round(sum(counts.values()) / releases, 1)} | found


def _resident_mib(pid: int) -> float:
    """https://man7.org/linux/man-pages/man5/proc_pid_status.5.html"""
    try:
        lines: Iterable[str] = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
