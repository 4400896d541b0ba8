"""Removes unused images once a day, because a local AWS may run for months."""

from __future__ import annotations

import logging
import threading

from local_aws.compute.base import Compute

_DAY_SECONDS = 86400.0

_log = logging.getLogger(__name__)


class ImageUpkeep:
    """Has a compute remove its unused images, in a thread of its own.

    :param compute: has removed those of its start itself
    :param interval_seconds: between two times
    """

    def __init__(self, compute: Compute, interval_seconds: float = _DAY_SECONDS) -> None:
        self._compute = compute
        self._interval_seconds = interval_seconds
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._each_day, name="image-upkeep", daemon=True).start()

    def stop(self) -> None:
        """Begin no other round; what a round has not deleted yet is deleted by the next build or start."""
        self._stopping.set()

    def _each_day(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            try:
                self._compute.remove_unused()
            except Exception:
                _log.exception("Unused images were not removed")
