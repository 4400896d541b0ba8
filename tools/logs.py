"""The log files of an instance: bounded while their writers live, and read from their ends."""

from __future__ import annotations

import contextlib
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

MAX_BYTES = 20_000_000
# Airflow has no option for this: its Helm chart has a container that removes old logs.
# https://airflow.apache.org/docs/helm-chart/stable/parameters-ref.html (dagProcessor.logGroomerSidecar.retentionDays)
PARSING_DAYS = 7
# More than the lines that people are shown have.
_TAIL_BYTES = 64_000
_PIECE_BYTES = 1_000_000


def former(log: Path) -> Path:
    """Return the file that has what was in a log before it was shortened last."""
    return log.with_name(f"{log.name}.1")


def shorten(log: Path, max_bytes: int = MAX_BYTES) -> None:
    """Move the end of a long log into the file beside it. Its writers, which append, go on with an empty one.

    :param log: that programs append to
    :param max_bytes: of the log, and of the file beside it
    """
    # On a full disk it is tried again later, and the log stays as it is. What is free then is left to the database and
    # the local AWS, which need it more.
    with contextlib.suppress(OSError):
        size = log.stat().st_size
        if size <= max_bytes or shutil.disk_usage(log.parent).free < 4 * max_bytes:
            return
        kept = former(log)
        copy = kept.with_name(f"{kept.name}.new")
        try:
            with log.open("rb", buffering=0) as old, copy.open("wb") as new:
                old.seek(size - max_bytes)
                # What comes meanwhile is copied, too, but not for ever: a writer may be faster than this.
                left = 2 * max_bytes
                while left > 0 and (piece := old.read(min(_PIECE_BYTES, left))):
                    new.write(piece)
                    new.flush()
                    left -= len(piece)
                copy.replace(kept)
                # What is written between that last look and this call, less than a millisecond, is lost: programs
                # cannot be told to open another file. A supervisor that is killed before it leaves all in the log.
                os.truncate(log, 0)
        except OSError:
            copy.unlink(missing_ok=True)


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log."""
    with contextlib.suppress(OSError), log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return "\n".join(stream.read().decode(errors="replace").splitlines()[-lines:])
    return "(no log)"


def remove_old_parsing(folder: Path) -> None:
    """Remove what the DAG processor has logged about DAG files, in a folder for each day, more than some days ago."""
    oldest = datetime.now(UTC).date() - timedelta(days=PARSING_DAYS)
    for day in folder.glob("*-*-*"):
        with contextlib.suppress(ValueError):
            if date.fromisoformat(day.name) < oldest:
                shutil.rmtree(day, ignore_errors=True)
