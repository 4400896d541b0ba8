"""How often a wait looks, by its age; and when a watcher emits an event for what waits."""

from __future__ import annotations

from collections.abc import Collection, Hashable

# An event is repeated for what stays unhandled: soon, then ever less often, because each one costs a run of a DAG.
EMIT_AGAIN_SECONDS = 20.0
EMIT_AGAIN_LIMIT_SECONDS = 80.0
# A wait that has lasted for an hour looks once a minute.
_SHARE_OF_AGE = 1 / 60
_PAUSE_LIMIT_SECONDS = 60.0


def pause_by_age(age_seconds: float, poll_seconds: float) -> float:
    """Return how long a wait pauses before its next look: the older it is, the longer, up to a minute.

    :param age_seconds: how long it has waited
    :param poll_seconds: the shortest pause
    """
    return max(poll_seconds, min(age_seconds * _SHARE_OF_AGE, _PAUSE_LIMIT_SECONDS))


class EventPacing:
    """Decides when to emit an event: at once for something new, later and later for what had one before."""

    def __init__(self) -> None:
        self._announced: frozenset[Hashable] | None = None
        self._again_at = 0.0
        self._pause_seconds = EMIT_AGAIN_SECONDS

    def is_due(self, waiting: Collection[Hashable] | None, now_seconds: float) -> bool:
        """Judge one poll; an event that is due counts as emitted.

        :param waiting: what needs attention; None before the bucket's first intake
        :param now_seconds: a monotonic clock
        :returns: whether to emit an event
        """
        current = frozenset(waiting or ())
        if waiting is not None and not current:
            self._announced = None
            return False
        if self._announced is None or current - self._announced:
            self._pause_seconds = EMIT_AGAIN_SECONDS
        elif now_seconds < self._again_at:
            return False
        else:
            self._pause_seconds = min(self._pause_seconds * 2, EMIT_AGAIN_LIMIT_SECONDS)
        self._announced = current
        self._again_at = now_seconds + self._pause_seconds
        return True
