"""When a watcher emits an event again for what is still not handled."""

from __future__ import annotations

from collections.abc import Collection, Hashable

# Ringing again for what stays uncommitted: soon, then ever less often, because a ring costs a run of the intake DAG.
RING_AGAIN_SECONDS = 20.0


RING_AGAIN_LIMIT_SECONDS = 80.0


class Doorbell:
    """Decides when to ring: at once for something new, later and later for what was rung for before."""

    def __init__(self) -> None:
        self._rung_for: frozenset[Hashable] | None = None
        self._again_at = 0.0
        self._pause_seconds = RING_AGAIN_SECONDS

    def rings(self, waiting: Collection[Hashable] | None, now_seconds: float) -> bool:
        """Judge one poll.

        :param waiting: what needs attention; None before the bucket's first intake
        :param now_seconds: a monotonic clock
        :returns: whether to ring
        """
        current = frozenset(waiting or ())
        if waiting is not None and not current:
            self._rung_for = None
            return False
        if self._rung_for is None or current - self._rung_for:
            self._pause_seconds = RING_AGAIN_SECONDS
        elif now_seconds < self._again_at:
            return False
        else:
            self._pause_seconds = min(self._pause_seconds * 2, RING_AGAIN_LIMIT_SECONDS)
        self._rung_for = current
        self._again_at = now_seconds + self._pause_seconds
        return True
