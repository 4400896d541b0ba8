"""Whether a release does something in AWS: what watches AWS looks often then, and seldom while nothing happens.

A task notes in Airflow's database that it begins something. Reading that costs no call of AWS.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Variable

log = logging.getLogger(__name__)

# When a task last began something.
ACTIVITY_VARIABLE = "slipway_activity"
# After something has happened, the next thing is likely for so long.
BUSY_SECONDS = 600.0
# While nothing happens, the note is read so often.
_PEEK_SECONDS = 10.0


def note_activity() -> None:
    """Note that a task is about to begin something in AWS; without the note the watchers only see it later."""
    now, meaning = datetime.now(UTC).isoformat(), "When a release last began something in AWS: watchers look often then"
    try:
        Variable.set(ACTIVITY_VARIABLE, now, description=meaning)
    except Exception as error:
        # No release fails because of it.
        log.warning("Cannot note that something begins in AWS: %s", error)


def noted_activity() -> str | None:
    """Return the newest note, or None before the first one."""
    found: Any = Variable.get(ACTIVITY_VARIABLE, default=None)
    return found


class Activity:
    """Decide how long a watcher pauses between two looks. It begins busy: nobody has looked before.

    :param noted: reads the newest note
    """

    def __init__(self, noted: Callable[[], str | None] = noted_activity) -> None:
        self._noted = noted
        self._note: str | None = None
        self._busy_until = time.monotonic() + BUSY_SECONDS

    @property
    def calm(self) -> bool:
        """Tell whether nothing has happened for some time."""
        return time.monotonic() >= self._busy_until

    def happened(self) -> None:
        """Note what the watcher has seen itself."""
        self._busy_until = time.monotonic() + BUSY_SECONDS

    async def pause(self, busy_seconds: float, calm_seconds: float) -> None:
        """Wait until the next look; a task's note ends a long wait.

        A wait that began busy stays short: the watcher may have said when its next look is due.

        :param busy_seconds: how long while something happens
        :param calm_seconds: how long while nothing does
        """
        started, began_calm = time.monotonic(), self.calm
        while True:
            seconds = calm_seconds if began_calm and self.calm else busy_seconds
            if (left := started + seconds - time.monotonic()) <= 0:
                break
            await asyncio.sleep(min(left, _PEEK_SECONDS))
            note = await asyncio.to_thread(self._noted)
            if note != self._note:
                self._note = note
                self.happened()
        # A pause of no length lets others run, too.
        await asyncio.sleep(0)
